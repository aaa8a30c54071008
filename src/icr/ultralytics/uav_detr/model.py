# SPDX-License-Identifier: AGPL-3.0-only
"""The graph of UAV-DETR R18 and R50 as of March 2025, layer by layer, as a model that Ultralytics trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules import AIFI, Concat, Conv, Focus, RepC3, RTDETRDecoder
from ultralytics.utils.torch_utils import initialize_weights

from icr.ultralytics.detr.model import RelatedDETR
from icr.ultralytics.uav_detr.backbone import BasicBlock, Bottleneck, conv_linear, conv_relu, stage
from icr.ultralytics.uav_detr.downsampling import FrequencyDownsampling
from icr.ultralytics.uav_detr.dysample import DySample
from icr.ultralytics.uav_detr.fusion import FrequencyFusion
from icr.ultralytics.uav_detr.sac import SemanticAlignment

PREFIX = "uav-detr-"

_WIDTH = 256


@dataclass(frozen=True)
class Variant:
    """What tells the sizes of UAV-DETR apart.

    Attributes:
        block: of the backbone.
        blocks: how many a stage has.
        expansion: of the RepC3 blocks.
        decoder_layers: how many the decoder has.
    """

    block: type[BasicBlock | Bottleneck]
    blocks: tuple[int, int, int, int]
    expansion: float
    decoder_layers: int


VARIANTS = {
    "r18": Variant(BasicBlock, (2, 2, 2, 2), 0.5, 3),
    "r50": Variant(Bottleneck, (3, 4, 6, 3), 1.0, 6),
}

Layer = tuple[nn.Module, int | list[int]]
"""A module, and the layers whose outputs it takes; -1 is the one before."""


class Decoder(RTDETRDecoder):
    """RT-DETR's decoder, with the denoising embedding one row longer than there are classes.

    The released UAV-DETR has that row and never reads it; it is kept for the parameter count (256 more).
    """

    def __init__(self, nc: int, ch: list[int], **settings: Any) -> None:
        super().__init__(nc, ch, **settings)
        self.denoising_class_embed = nn.Embedding(nc + 1, self.hidden_dim)


def plan(variant: Variant, nc: int, queries: int) -> Iterator[Layer]:
    """The layers in order, numbered as in docs/uav-detr.md."""
    c2, c3, c4, c5 = (width * variant.block.expansion for width in (64, 128, 256, 512))

    def rep_c3(inputs: int) -> RepC3:
        return RepC3(inputs, _WIDTH, 3, variant.expansion)

    yield conv_relu(3, 32, 3, 2), -1
    yield conv_relu(32, 32, 3), -1
    yield conv_relu(32, 64, 3), -1
    yield nn.MaxPool2d(3, 2, 1), -1
    for inputs, width, blocks, stride in zip(
        (64, c2, c3, c4), (64, 128, 256, 512), variant.blocks, (1, 2, 2, 2), strict=True
    ):
        yield stage(variant.block, inputs, width, blocks, stride), -1
    yield conv_linear(c5, _WIDTH), -1  # 8
    yield AIFI(_WIDTH, 1024, 8), -1
    yield Conv(_WIDTH, 256, 1), -1  # 10: Y5
    yield DySample(256), -1
    yield conv_linear(c4, _WIDTH), 6
    yield Concat(1), [11, 12]
    yield rep_c3(512), -1
    yield Conv(_WIDTH, 128, 1), -1  # 15: Y4
    yield DySample(128), -1
    yield Focus(c2, 128), 4  # 17: the finest map, from before the first halving of a stage
    yield Concat(1), [17, 16, 5]
    yield FrequencyFusion(256 + c3), -1
    yield rep_c3(256 + c3), -1  # 20: N3
    yield FrequencyDownsampling(_WIDTH, 256), -1
    yield Concat(1), [21, 15]
    yield rep_c3(384), -1  # 23: N4
    yield FrequencyDownsampling(_WIDTH, 256), -1
    yield Concat(1), [24, 10]
    yield rep_c3(512), -1  # 26: N5
    yield SemanticAlignment(_WIDTH), [20, 26]  # 27: S3
    yield Decoder(nc, [_WIDTH] * 3, nq=queries, ndl=variant.decoder_layers), [27, 23, 26]


class UAVDETRModel(RelatedDETR):
    """UAV-DETR as Ultralytics' RT-DETR model: same training, validation and prediction.

    Args:
        variant: `r18` or `r50`.
        nc: number of classes.
        queries: of the decoder.

    Example:
        >>> with torch.device("meta"):
        ...     sum(each.numel() for each in UAVDETRModel("r18", nc=10).parameters())
        21466800
    """

    own_base = "inner-siou"

    def __init__(self, variant: str = "r18", nc: int = 80, queries: int = 300) -> None:
        nn.Module.__init__(self)  # the parents would read a plan from a YAML file
        layers: list[tuple[Any, int | list[int]]] = list(plan(VARIANTS[variant], nc, queries))
        for index, (layer, source) in enumerate(layers):
            layer.i, layer.f, layer.type = index, source, type(layer).__name__
            layer.np = sum(each.numel() for each in layer.parameters())
        self.model = nn.Sequential(*(layer for layer, _ in layers))
        self.save = sorted(
            {each for _, source in layers for each in ([source] if isinstance(source, int) else source)} - {-1}
        )
        self.yaml = {"nc": nc, "ch": 3, "uav_detr": variant, "queries": queries}
        self.nc, self.names = nc, {index: str(index) for index in range(nc)}
        self.inplace, self.stride = True, torch.tensor([32.0])
        initialize_weights(self)

    def load(self, weights: nn.Module, verbose: bool = True) -> None:
        """Take over the weights of another model wherever name and shape agree.

        Args:
            weights: one of this class, of any classes; rows that stand for classes are taken where those are the same.
        """
        own, same = self.state_dict(), getattr(weights, "names", None) == self.names
        taken = {
            name: tensor
            for name, tensor in weights.float().state_dict().items()
            if name in own
            and own[name].shape == tensor.shape
            and (same or not any(part in name for part in ("score_head", "class_embed")))
        }
        self.load_state_dict(taken, strict=False)


def build(name: str, nc: int) -> UAVDETRModel:
    """Build `uav-detr-r18` or `uav-detr-r50` for `nc` classes."""
    model = UAVDETRModel(name.removeprefix(PREFIX), nc)
    model.architecture = name
    return model
