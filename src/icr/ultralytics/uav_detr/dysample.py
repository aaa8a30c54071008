# SPDX-License-Identifier: AGPL-3.0-only
"""DySample: up-sampling by learned sampling points (Liu et al., arXiv 2308.15085), static scope."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SCOPE = 0.25
"""How far a learned offset reaches, in pixels of the input for an output of the convolution of 1."""


class DySample(nn.Module):
    """Enlarge a map (B, C, H, W) to (B, C, scale·H, scale·W), each group of channels from points of its own.

    An output cell samples the input at the middle of its share of a pixel, moved by a learned offset. Positions are
    float32 whatever autocast says: bfloat16 cannot tell neighbouring pixels of a wide map apart.
    """

    start: Tensor

    def __init__(self, channels: int, scale: int = 2, groups: int = 4) -> None:
        super().__init__()
        self.scale, self.groups = scale, groups
        self.offset = nn.Conv2d(channels, 2 * groups * scale**2, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]
        self.register_buffer("start", _starts(scale, groups))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        offset = SCOPE * self.offset(x).float() + self.start.float()
        offset = offset.view(batch, 2, -1, height, width)
        across = torch.arange(width, device=x.device, dtype=torch.float32) + 0.5
        down = torch.arange(height, device=x.device, dtype=torch.float32) + 0.5
        right = 2 * (offset[:, 0] + across) / width - 1
        below = 2 * (offset[:, 1] + down[:, None]) / height - 1
        grid = torch.stack([functional.pixel_shuffle(each, self.scale) for each in (right, below)], -1)
        apart = x.reshape(batch * self.groups, channels // self.groups, height, width)
        sampled = functional.grid_sample(
            apart.float(), grid.flatten(0, 1), mode="bilinear", padding_mode="border", align_corners=False
        )
        return sampled.view(batch, channels, height * self.scale, width * self.scale).to(x.dtype)


def _starts(scale: int, groups: int) -> Tensor:
    """Middles of an input pixel's `scale`² shares: (1, 2·groups·scale², 1, 1), x of all groups, then y."""
    steps = (torch.arange(scale) - (scale - 1) / 2) / scale
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([each.flatten().repeat(groups) for each in (across, down)]).view(1, -1, 1, 1)
