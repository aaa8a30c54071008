# SPDX-License-Identifier: AGPL-3.0-only
"""SAC: semantic alignment and calibration of a coarse map with a fine one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules import Conv

from icr.ultralytics.uav_detr.frequency import FrequencyFocus

_GROUPS = 2


class SemanticAlignment(nn.Module):
    """Bring `low` (B, C, h, w) onto `high` (B, C, H, W), each moved by learned offsets, and add: (B, C, H, W).

    The offsets start at zero, so at first the result is the sum of the two, after a convolution each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.high = Conv(channels, channels, 3)
        self.low = Conv(channels, channels, 3)
        self.gate = nn.Conv2d(channels, channels, 1)
        nn.init.xavier_normal_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)  # type: ignore[arg-type]
        self.focus = FrequencyFocus(channels)
        self.reduce = Conv(2 * channels, 64, 1)
        self.offsets = nn.Conv2d(64, 4 * _GROUPS + 2, 3, padding=1, bias=False)
        nn.init.zeros_(self.offsets.weight)

    def forward(self, maps: list[Tensor]) -> Tensor:
        high, low = maps
        low = functional.interpolate(self.low(low), high.shape[2:], mode="bilinear", align_corners=True)
        gate = torch.sigmoid(self.gate(low))
        low = low * (1 - gate) + self.focus(low) * gate
        high = self.high(high)
        moves = self.offsets(self.reduce(torch.cat([high, low], 1))).float()
        for_high, for_low, attention = moves.split([2 * _GROUPS, 2 * _GROUPS, 2], 1)
        low_share, high_share = (1 + torch.tanh(attention)).to(high.dtype).chunk(2, 1)
        return _moved(low, for_low) * low_share + _moved(high, for_high) * high_share


def _moved(x: Tensor, offset: Tensor) -> Tensor:
    """Sample `x` at its own pixels moved by `offset`: (B, 2 groups · xy, H, W), in pixels times (W - 1) / (2 W)."""
    batch, channels, height, width = x.shape
    down = torch.linspace(-1, 1, height, device=x.device)
    across = torch.linspace(-1, 1, width, device=x.device)
    base = torch.stack([across.expand(height, width), down[:, None].expand(height, width)], -1)
    size = torch.tensor([width, height], device=x.device, dtype=torch.float32)
    grid = base + offset.reshape(batch * _GROUPS, 2, height, width).permute(0, 2, 3, 1) / size
    apart = x.reshape(batch * _GROUPS, channels // _GROUPS, height, width)
    sampled = functional.grid_sample(apart.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return sampled.view(batch, channels, height, width).to(x.dtype)
