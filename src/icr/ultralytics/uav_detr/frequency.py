# SPDX-License-Identifier: AGPL-3.0-only
"""Filtering in the frequency domain, in float32 whatever autocast says, and UAV-DETR's frequency focus module."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def filtered(gate: Tensor, x: Tensor) -> Tensor:
    """`|IFFT2(gate · FFT2(x))|` over the last two dimensions.

    Half-precision FFTs exist on a GPU alone and for powers of two alone, so the transform is in float32. An ONNX graph
    gets the same sums as products of matrices, since exporters and runtimes hold the FFT in part only.

    Args:
        gate: real weights of the frequencies, of the shape of `x` or broadcast over it.
        x: maps (..., H, W).

    Returns:
        Magnitudes (..., H, W), at least 0, float32 (float64 stays), with gradient to both.

    Example:
        >>> filtered(torch.full((1, 1), 2.0), torch.tensor([[1.0, -1.0], [0.0, 3.0]])).round(decimals=4)
        tensor([[2., 2.],
                [0., 6.]])
    """
    with torch.autocast(x.device.type, enabled=False):
        gate, x = (each if each.dtype == torch.float64 else each.float() for each in (gate, x))
        if torch.onnx.is_in_onnx_export():
            return _by_matrices(gate, x)
        return torch.fft.ifft2(gate * torch.fft.fft2(x)).abs()


def _by_matrices(gate: Tensor, x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    (cos_h, sin_h), (cos_w, sin_w) = _waves(height, x), _waves(width, x)
    # exp(-i…) from both sides, then exp(+i…) from both sides
    right, right_i = x @ cos_w, -(x @ sin_w)
    real = gate * (cos_h @ right + sin_h @ right_i)
    imaginary = gate * (cos_h @ right_i - sin_h @ right)
    right, right_i = real @ cos_w - imaginary @ sin_w, real @ sin_w + imaginary @ cos_w
    real, imaginary = cos_h @ right - sin_h @ right_i, cos_h @ right_i + sin_h @ right
    return torch.sqrt(real * real + imaginary * imaginary) / (height * width)


def _waves(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    step = torch.arange(size, device=like.device)
    # the remainder first: an angle of many turns has lost its digits in float32
    angle = (step[:, None] * step[None] % size).to(like.dtype) * (2 * math.pi / size)
    return torch.cos(angle), torch.sin(angle)


class FrequencyFocus(nn.Module):
    """FFM: `α · |IFFT2(W1 x · FFT2(W2 x))| + β · x`, with α and β per channel; at first it is the identity.

    `unused` takes no part: the released networks own such a convolution, and it is kept for their parameter counts.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(channels, 1, 1))
        self.beta = nn.Parameter(torch.ones(channels, 1, 1))
        self.unused = nn.Conv2d(channels, 2 * channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        # float32 until α has scaled it: a spectrum of thousands of places can go beyond half precision
        return (self.alpha * filtered(self.gate(x), self.value(x)) + self.beta * x).to(x.dtype)
