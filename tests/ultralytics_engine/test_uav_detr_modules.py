# SPDX-License-Identifier: AGPL-3.0-only
"""Each module of UAV-DETR against its formula, written out a second time and slowly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from icr.ultralytics.uav_detr import frequency
from icr.ultralytics.uav_detr.backbone import BasicBlock, Bottleneck, stage
from icr.ultralytics.uav_detr.downsampling import FrequencyDownsampling
from icr.ultralytics.uav_detr.dysample import DySample
from icr.ultralytics.uav_detr.frequency import FrequencyFocus, filtered
from icr.ultralytics.uav_detr.fusion import FrequencyEnhancement, FrequencyFusion
from icr.ultralytics.uav_detr.sac import SemanticAlignment


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every weight at random, those that start at zero too, and norms that do something."""
    chance = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        parameter.data = torch.randn(parameter.shape, generator=chance) * (0.5 if "offset" in name else 0.3)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.running_mean = torch.randn(each.num_features, generator=chance)
            each.running_var = torch.rand(each.num_features, generator=chance) + 0.5
    return module.eval()


def maps(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bilinear(map_: Tensor, x: float, y: float, border: bool) -> float:
    """Value of (H, W) at a place in pixels whose centres are whole numbers; beyond it the border's, or zero."""
    height, width = map_.shape
    if border:
        x, y = min(max(x, 0.0), width - 1), min(max(y, 0.0), height - 1)
    left, top, found = math.floor(x), math.floor(y), 0.0
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        if 0 <= column < width and 0 <= row < height:
            found += (1 - abs(x - column)) * (1 - abs(y - row)) * float(map_[row, column])
    return found


def convolution(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return functional.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding, groups=conv.groups)


def block(conv: Any, x: Tensor, activation: Any) -> Tensor:
    """Ultralytics' `Conv`: convolution, batch norm, activation."""
    norm = conv.bn
    return activation(
        functional.batch_norm(
            convolution(conv.conv, x), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    )


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def by_definition(gate: Tensor, x: Tensor) -> Tensor:
    """|IFFT2(gate · FFT2(x))| of one map (H, W), by its sums."""
    height, width = x.shape
    down = np.exp(-2j * np.pi * np.outer(np.arange(height), np.arange(height)) / height)
    across = np.exp(-2j * np.pi * np.outer(np.arange(width), np.arange(width)) / width)
    spectrum = gate.detach().double().numpy() * (down @ x.detach().double().numpy() @ across)
    return torch.from_numpy(np.abs(down.conj() @ spectrum @ across.conj()) / (height * width)).float()


@pytest.mark.parametrize("size", [(5, 6), (8, 8), (1, 7)])
def test_the_filter_equals_its_sums(size: tuple[int, int]) -> None:
    gate, x = maps(*size), maps(*size, seed=2)
    same(filtered(gate, x), by_definition(gate, x))


@pytest.mark.parametrize("size", [(5, 6), (80, 79)])
def test_an_exported_filter_is_the_same(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    gate, x = maps(2, 3, *size), maps(2, 3, *size, seed=2)
    expected = filtered(gate, x)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    monkeypatch.setattr(torch.fft, "fft2", None)
    same(filtered(gate, x), expected, 1e-4)


def test_the_filter_is_float32_under_autocast_and_its_gradient_is_finite() -> None:
    gate, x = maps(1, 2, 6, 7).requires_grad_(), torch.zeros(1, 2, 6, 7, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = filtered(gate.bfloat16(), x.bfloat16())
    found.sum().backward()
    assert found.dtype == torch.float32
    assert gate.grad is not None and x.grad is not None
    assert gate.grad.isfinite().all() and x.grad.isfinite().all(), "the magnitude of zero has no direction"


def test_frequency_focus_starts_as_the_identity_and_equals_its_formula() -> None:
    x = maps(2, 4, 5, 6)
    focus = FrequencyFocus(4)
    same(focus(x), x)
    focus = randomised(focus)
    gate, value = (convolution(conv, x) for conv in (focus.gate, focus.value))
    found = torch.stack([by_definition(g, v) for g, v in zip(gate.flatten(0, 1), value.flatten(0, 1), strict=True)])
    same(focus(x), focus.alpha * found.view_as(x) + focus.beta * x)


def test_dysample_equals_loops_over_its_points() -> None:
    x = maps(2, 8, 3, 5)
    module = randomised(DySample(8))
    raw = convolution(module.offset, x).detach()
    found = module(x).detach()
    assert found.shape == (2, 8, 6, 10)
    for picture, channel, row, column in [(0, 0, 0, 0), (0, 3, 5, 9), (1, 2, 2, 7), (1, 7, 3, 4), (0, 5, 4, 1)]:
        group, (i, v), (j, u) = channel // 2, divmod(row, 2), divmod(column, 2)
        place = group * 4 + 2 * v + u
        x_at = j + 0.25 * float(raw[picture, place, i, j]) + (u - 0.5) / 2
        y_at = i + 0.25 * float(raw[picture, 16 + place, i, j]) + (v - 0.5) / 2
        expected = bilinear(x[picture, channel], x_at, y_at, border=True)
        assert float(found[picture, channel, row, column]) == pytest.approx(expected, abs=1e-5)


def test_dysample_starts_close_to_plain_enlargement() -> None:
    x = maps(1, 8, 6, 4)
    torch.manual_seed(0)
    plain = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    same(DySample(8)(x), plain, 0.02)


def test_enhancement_equals_its_formula() -> None:
    a = maps(1, 8, 6, 7)
    core = randomised(FrequencyEnhancement(8, wide=5))
    o = functional.gelu(convolution(core.enter, a))
    s = convolution(core.describe, o.mean((2, 3), keepdim=True))
    f = torch.stack([by_definition(s[0, c].expand(6, 7), o[0, c]) for c in range(8)])[None]
    m = sum(convolution(conv, f) for conv in (core.point, core.near, core.far))
    m = m * torch.sigmoid(convolution(core.excite, functional.relu(convolution(core.squeeze, s))))
    inner = a + convolution(core.wide, o) + convolution(core.scale, o) + core.focus(m)
    same(core(a), convolution(core.leave, functional.silu(inner)))
    assert (core.near.groups, core.far.groups, core.wide.groups, core.point.groups) == (8, 8, 8, 1)
    assert FrequencyEnhancement(8).wide.kernel_size == (31, 31)


def test_fusion_enhances_the_first_quarter() -> None:
    x = maps(1, 32, 6, 7)
    fusion = randomised(FrequencyFusion(32))
    t = block(fusion.enter, x, functional.silu)
    joined = torch.cat([fusion.enhance(t[:, :8]), t[:, 8:]], 1)
    same(fusion(x), block(fusion.leave, joined, functional.silu))


@pytest.mark.parametrize(("size", "expected"), [((8, 6), (4, 3)), ((7, 9), (3, 4))])
def test_downsampling_equals_its_formula(size: tuple[int, int], expected: tuple[int, int]) -> None:
    x = maps(2, 8, *size)
    module = randomised(FrequencyDownsampling(8, 12))
    mean = (x[..., :-1, :-1] + x[..., 1:, :-1] + x[..., :-1, 1:] + x[..., 1:, 1:]) / 4
    first, second = mean[:, :4], mean[:, 4:]
    strided = block(module.strided, module.focus(second), functional.silu)
    pooled = block(module.pooled, functional.max_pool2d(second, 3, 2, 1), functional.silu)
    second_path = block(module.mix, torch.cat([strided, pooled], 1), functional.silu)
    found = module(x)
    same(found, torch.cat([block(module.spatial, first, functional.silu), second_path], 1))
    assert found.shape == (2, 12, *expected)


def test_alignment_starts_as_a_sum() -> None:
    high, low = maps(2, 8, 6, 8), maps(2, 8, 3, 4, seed=2)
    torch.manual_seed(0)
    sac = SemanticAlignment(8).eval()
    coarse = functional.interpolate(sac.low(low), (6, 8), mode="bilinear", align_corners=True)
    same(sac([high, low]), sac.high(high) + coarse)
    assert not sac.offsets.weight.any()


def test_alignment_equals_loops_over_its_points() -> None:
    high, low = maps(1, 8, 5, 7), maps(1, 8, 3, 4, seed=2)
    sac = randomised(SemanticAlignment(8))
    sac.offsets.weight.data *= 10  # so that some points lie beyond the border
    coarse = functional.interpolate(block(sac.low, low, functional.silu), (5, 7), mode="bilinear", align_corners=True)
    gate = torch.sigmoid(convolution(sac.gate, coarse))
    coarse = coarse * (1 - gate) + sac.focus(coarse) * gate
    fine = block(sac.high, high, functional.silu)
    r = convolution(sac.offsets, block(sac.reduce, torch.cat([fine, coarse], 1), functional.silu))[0].detach()
    found = sac([high, low])
    for channel, row, column in [(0, 0, 0), (3, 4, 6), (4, 2, 3), (7, 1, 5), (5, 3, 2)]:
        group, expected = channel // 4, 0.0
        for map_, first, share in ((fine, 0, 9), (coarse, 4, 8)):
            x = -1 + 2 * column / 6 + float(r[first + 2 * group, row, column]) / 7
            y = -1 + 2 * row / 4 + float(r[first + 2 * group + 1, row, column]) / 5
            value = bilinear(map_[0, channel], (x + 1) / 2 * 6, (y + 1) / 2 * 4, border=False)
            expected += value * (1 + math.tanh(float(r[share, row, column])))
        assert float(found[0, channel, row, column]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("kind", "outputs"), [(BasicBlock, 4), (Bottleneck, 16)])
def test_a_stage_is_resnet_vd(kind: Any, outputs: int) -> None:
    x = maps(1, 6, 7, 9)
    first, second = blocks = randomised(stage(kind, 6, 4, 2, 2))
    shortcut = block(first.shortcut[1], functional.avg_pool2d(x, 2, 2, ceil_mode=True), lambda y: y)
    inside = x
    for index, conv in enumerate(first.body):
        last = index == len(first.body) - 1
        inside = block(conv, inside, (lambda y: y) if last else functional.relu)
    expected = functional.relu(inside + shortcut)
    same(first(x), expected)
    assert blocks(x).shape == (1, outputs, 4, 5)
    assert isinstance(second.shortcut, nn.Identity) and second.body[0].conv.stride[0] == 1
    assert not isinstance(stage(kind, outputs, 4, 1, 1)[0].shortcut, nn.Identity), "every first block projects"
    strides = [each.conv.stride[0] for each in first.body]
    assert strides == ([2, 1] if kind is BasicBlock else [1, 2, 1])


def test_the_released_networks_unused_convolution_takes_no_part() -> None:
    focus = randomised(FrequencyFocus(4))
    x = maps(1, 4, 5, 5)
    before = focus(x)
    focus.unused.weight.data.fill_(9.0)
    same(focus(x), before)
    assert sum(each.numel() for each in focus.unused.parameters()) == 20 * 4
    assert frequency.FrequencyFocus(128).unused.weight.numel() == 128 * 18
