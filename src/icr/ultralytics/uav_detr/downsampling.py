# SPDX-License-Identifier: AGPL-3.0-only
"""FD: down-sampling by two with a path through the frequency domain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules import Conv

from icr.ultralytics.uav_detr.frequency import FrequencyFocus


class FrequencyDownsampling(nn.Module):
    """Halve a map: (B, inputs, H, W) to (B, outputs, ceil((H - 1) / 2), ceil((W - 1) / 2)), which is H / 2 for even H.

    Half of the channels go through a strided convolution; the other half through a frequency focus with a strided
    convolution, and through a max pool, and the two are mixed.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, width = inputs // 2, outputs // 2
        self.spatial = Conv(half, width, 3, 2)
        self.focus = FrequencyFocus(half)
        self.strided = Conv(half, width, 3, 2)
        self.pooled = Conv(half, width, 1)
        self.mix = Conv(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = functional.avg_pool2d(x, 2, 1).chunk(2, 1)
        strided = self.strided(self.focus(second))
        pooled = self.pooled(functional.max_pool2d(second, 3, 2, 1))
        return torch.cat([self.spatial(first), self.mix(torch.cat([strided, pooled], 1))], 1)
