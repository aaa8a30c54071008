# SPDX-License-Identifier: AGPL-3.0-only
"""The auxiliary bodies of YOLOv9: what a second head looks through while the network trains.

Nothing in them is detached: their gradients reach the backbone that they share with the main branch, which is the point
of them (Wang et al., "YOLOv9: Learning What You Want to Learn Using Programmable Gradient Information").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from ultralytics.nn.modules import SPPELAN, CBLinear, Conv, RepNCSPELAN4


class TopDown(nn.Module):
    """A second pooling and top-down path over the backbone, of sizes T and S.

    Args:
        widths: channels of the backbone at strides 8, 16 and 32; its own maps have the same.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        c3, c4, c5 = widths
        self.pool = SPPELAN(c5, c5, c5 // 2)
        self.block4 = RepNCSPELAN4(c5 + c4, c4, c4, c4 // 2, 3)
        self.block3 = RepNCSPELAN4(c4 + c3, c3, c3, c3 // 2, 3)

    def forward(self, image: Tensor, backbone: Sequence[Tensor]) -> list[Tensor]:
        """Make maps at strides 8, 16 and 32 from those of the backbone; the image is not looked at again."""
        p3, p4, p5 = backbone
        a5 = self.pool(p5)
        a4 = self.block4(_beside(a5, p4))
        a3 = self.block3(_beside(a4, p3))
        return [a3, a4, a5]


def _beside(coarse: Tensor, fine: Tensor) -> Tensor:
    return torch.cat([interpolate(coarse, scale_factor=2.0, mode="nearest"), fine], 1)


class SecondBackbone(nn.Module):
    """A backbone of its own on the image, into which the maps of the first are routed, of sizes M, C and 60.5 M.

    Level i adds to its downsampled map a slice of a 1×1 convolution of every backbone map at its own stride or a
    coarser one, brought to its size (nearest).

    Args:
        stem: channels after the two first strides.
        widths: channels of the added maps (d3, d4, d5).
        first: (out, c3, c4) of the block before them.
        blocks: (out, c3, c4) of the block of each level.
        backbone: channels of the first backbone at strides 8, 16 and 32.
        down: makes what halves the size, from channels in and out.
    """

    def __init__(
        self,
        stem: tuple[int, int],
        widths: tuple[int, int, int],
        first: tuple[int, int, int],
        blocks: Sequence[tuple[int, int, int]],
        backbone: Sequence[int],
        down: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.routes = nn.ModuleList(
            CBLinear(channels, list(widths[: level + 1])) for level, channels in enumerate(backbone)
        )
        self.stem = nn.Sequential(Conv(3, stem[0], 3, 2), Conv(stem[0], stem[1], 3, 2), RepNCSPELAN4(stem[1], *first))
        inputs = (first[0], *(out for out, _, _ in blocks[:-1]))
        self.downs = nn.ModuleList(down(c1, c2) for c1, c2 in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(RepNCSPELAN4(c1, *block) for c1, block in zip(widths, blocks, strict=True))

    def forward(self, image: Tensor, backbone: Sequence[Tensor]) -> list[Tensor]:
        """Make maps at strides 8, 16 and 32 from the image and the maps of the first backbone."""
        routed = [route(taken) for route, taken in zip(self.routes, backbone, strict=True)]
        maps = []
        x = self.stem(image)
        for level, (down, block) in enumerate(zip(self.downs, self.blocks, strict=True)):
            x = down(x)
            for slices in routed[level:]:
                x = x + interpolate(slices[level], size=x.shape[2:], mode="nearest")
            x = block(x)
            maps.append(x)
        return maps
