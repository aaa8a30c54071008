# SPDX-License-Identifier: AGPL-3.0-only
"""The ResNet-vd stages of UAV-DETR, of Ultralytics' `Conv`, so that `fuse()` folds their batch norms."""

from __future__ import annotations

from torch import Tensor, nn
from ultralytics.nn.modules import Conv


def conv_relu(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Conv:
    """Convolution without bias, batch norm, ReLU."""
    return Conv(inputs, outputs, kernel, stride, act=nn.ReLU())


def conv_linear(inputs: int, outputs: int, kernel: int = 1) -> Conv:
    """Convolution without bias and batch norm, no activation."""
    return Conv(inputs, outputs, kernel, act=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; `width` channels come out."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_relu(inputs, width, 3, stride), conv_linear(width, width, 3))
        self.shortcut = _shortcut(inputs, width, stride) if project else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1×1, 3×3 (which carries the stride), 1×1, and a shortcut; four times `width` channels come out."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.body = nn.Sequential(
            conv_relu(inputs, width, 1), conv_relu(width, width, 3, stride), conv_linear(width, outputs)
        )
        self.shortcut = _shortcut(inputs, outputs, stride) if project else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A "vd" projection: the mean of 2×2 cells in place of a stride, which would drop three of four."""
    project = conv_linear(inputs, outputs)
    return project if stride == 1 else nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True), project)


def stage(block: type[BasicBlock | Bottleneck], inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """One stage; its first block carries the stride and always projects its shortcut."""
    first = block(inputs, width, stride, project=True)
    rest = (block(width * block.expansion, width, 1, project=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
