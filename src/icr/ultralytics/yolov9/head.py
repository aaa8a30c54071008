# SPDX-License-Identifier: AGPL-3.0-only
"""The head of YOLOv9, whose box branch is grouped; Ultralytics' head for the same plan is dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from ultralytics.nn.modules import Conv, Detect

GROUPS = 4
"""One for each side of a box."""


class GroupedDetect(Detect):
    """`Detect` with a grouped box branch, and a class branch as wide as YOLOv9's.

    Args:
        nc: the number of classes.
        ch: channels of the maps at strides 8, 16 and 32.
    """

    def __init__(self, nc: int, ch: Sequence[int]) -> None:
        super().__init__(nc=nc, ch=tuple(ch))
        sides = 4 * self.reg_max
        box, scores = branch_widths(nc, ch[0], self.reg_max)
        self.cv2 = nn.ModuleList(
            nn.Sequential(Conv(c, box, 3), Conv(box, box, 3, g=GROUPS), nn.Conv2d(box, sides, 1, groups=GROUPS))
            for c in ch
        )
        self.cv3 = nn.ModuleList(
            nn.Sequential(Conv(c, scores, 3), Conv(scores, scores, 3), nn.Conv2d(scores, nc, 1)) for c in ch
        )

    def bias_init(self) -> None:
        """Start the biases; those of the boxes at 1 (Ultralytics: 2)."""
        super().bias_init()
        boxes: Any = self.cv2
        for branch in boxes:
            branch[-1].bias.data[:] = 1.0


def branch_widths(nc: int, first: int, reg_max: int = 16) -> tuple[int, int]:
    """Channels inside the box branch and inside the class branch.

    Args:
        first: channels of the finest map.

    Example:
        >>> branch_widths(2, 64), branch_widths(80, 64), branch_widths(2, 240)
        ((64, 64), (64, 128), (64, 240))
    """
    box = max(first // 4, 4 * reg_max, 16)
    return -(-box // GROUPS) * GROUPS, max(first, min(2 * nc, 128))
