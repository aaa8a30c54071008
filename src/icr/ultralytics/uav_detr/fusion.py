# SPDX-License-Identifier: AGPL-3.0-only
"""MSFF-FE: fusion of three scales with frequency enhancement, over a quarter of the channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules import Conv

from icr.ultralytics.uav_detr.frequency import FrequencyFocus


class FrequencyEnhancement(nn.Module):
    """The core K: local, wide (31×31) and frequency branches over the same map (B, C, H, W), summed."""

    def __init__(self, channels: int, wide: int = 31) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.describe = nn.Conv2d(channels, channels, 1)
        self.point = nn.Conv2d(channels, channels, 1)
        self.near = _depthwise(channels, 3)
        self.far = _depthwise(channels, 5)
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)
        self.focus = FrequencyFocus(channels)
        self.wide = _depthwise(channels, wide)
        self.scale = _depthwise(channels, 1)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, a: Tensor) -> Tensor:
        entered = functional.gelu(self.enter(a))
        described = self.describe(entered.mean((2, 3), keepdim=True))
        # |IFFT2(s · FFT2(o))| with one s for a whole map: the transform and its inverse cancel
        found = (described * entered).abs()
        share = torch.sigmoid(self.excite(functional.relu(self.squeeze(described))))
        found = (self.point(found) + self.near(found) + self.far(found)) * share
        return self.leave(functional.silu(a + self.wide(entered) + self.scale(entered) + self.focus(found)))


def _depthwise(channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)


class FrequencyFusion(nn.Module):
    """MSFF-FE: mix all channels, enhance the first quarter of them, mix again; shape (B, C, H, W) stays."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.part = channels // 4
        self.enter = Conv(channels, channels, 1)
        self.enhance = FrequencyEnhancement(self.part)
        self.leave = Conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, rest = self.enter(x).split([self.part, x.shape[1] - self.part], 1)
        return self.leave(torch.cat([self.enhance(a), rest], 1))
