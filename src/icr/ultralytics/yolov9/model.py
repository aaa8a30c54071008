# SPDX-License-Identifier: AGPL-3.0-only
"""YOLOv9 with its auxiliary branch: built for training, stripped for use."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from ultralytics.nn.modules import AConv, ADown, Conv, RepConv
from ultralytics.nn.tasks import BaseModel, DetectionModel, yaml_model_load
from ultralytics.utils.torch_utils import initialize_weights

from icr.ultralytics.loss import settle_assigners
from icr.ultralytics.yolov9.auxiliary import SecondBackbone, TopDown
from icr.ultralytics.yolov9.head import GroupedDetect
from icr.ultralytics.yolov9.loss import DualLoss

BACKBONE = (4, 6, 8)
"""Layers of the main branch that are the backbone's maps at strides 8, 16 and 32."""


@dataclass(frozen=True)
class Size:
    """One size of YOLOv9.

    Attributes:
        plan: Ultralytics' plan of its main branch, whose backbone and neck are the original's.
        widths: channels of the auxiliary maps at strides 8, 16 and 32.
        auxiliary: makes the auxiliary body.
        plain: halve sizes by plain 3×3 convolutions and activate by ReLU, where size C has `ADown` and SiLU.
    """

    plan: str
    widths: tuple[int, int, int]
    auxiliary: Callable[[], nn.Module]
    plain: bool = False


def _large(down: Callable[[int, int], nn.Module]) -> SecondBackbone:
    blocks = ((512, 256, 128), (512, 512, 256), (512, 512, 256))
    return SecondBackbone((64, 128), (256, 512, 512), (256, 128, 64), blocks, (512, 512, 512), down)


def _medium() -> SecondBackbone:
    blocks = ((240, 240, 120), (360, 360, 180), (480, 480, 240))
    return SecondBackbone((32, 64), (240, 360, 480), (128, 128, 64), blocks, (240, 360, 480), AConv)


SIZES = {
    "yolov9-t": Size("yolov9t.yaml", (64, 96, 128), partial(TopDown, (64, 96, 128))),
    "yolov9-s": Size("yolov9s.yaml", (128, 192, 256), partial(TopDown, (128, 192, 256))),
    "yolov9-m": Size("yolov9m.yaml", (240, 360, 480), _medium),
    "yolov9-c": Size("yolov9c.yaml", (512, 512, 512), partial(_large, ADown)),
    "yolov9": Size("yolov9c.yaml", (512, 512, 512), partial(_large, partial(Conv, k=3, s=2)), plain=True),
}


class YOLOv9(DetectionModel):
    """YOLOv9 with a grouped head and, while it trains, an auxiliary body and head beside the main branch.

    In training mode the predictions are the main head's, with the auxiliary head's under `aux`; in evaluation mode the
    auxiliary branch is not run.

    Args:
        name: a key of `SIZES`.
        nc: the number of classes.

    Attributes:
        icr: the box loss of both branches (`icr.ultralytics.settings.BoxLoss`), None for Ultralytics' own.
        enlarge_tiny: whether the assigners enlarge tiny boxes; the original's do not.

    Example:
        >>> sum(each.numel() for each in YOLOv9("yolov9-t", nc=10).parameters())
        2662796
    """

    aux: nn.Module | None
    aux_head: GroupedDetect | None

    def __init__(self, name: str, nc: int) -> None:
        size = SIZES[name]
        super().__init__(main_plan(name, nc), ch=3, verbose=False)
        self.architecture = name
        self.icr: Any = None
        self.enlarge_tiny = False
        self.model[-1] = self._grouped(self.model[-1], nc)
        self.aux = size.auxiliary()
        self.aux_head = self._head(nc, size.widths)
        for fresh in (self.model[-1], self.aux, self.aux_head):
            initialize_weights(fresh)
        if size.plain:
            activate(self, nn.ReLU)

    def _grouped(self, dense: Any, nc: int) -> GroupedDetect:
        head = self._head(nc, [branch[0].conv.in_channels for branch in dense.cv2])
        head.i, head.f, head.type = dense.i, dense.f, f"{GroupedDetect.__module__}.{GroupedDetect.__name__}"
        head.np = sum(each.numel() for each in head.parameters())
        return head

    def _head(self, nc: int, widths: Sequence[int]) -> GroupedDetect:
        head = GroupedDetect(nc, widths)
        head.stride, head.inplace = self.stride.clone(), self.inplace
        head.bias_init()
        return head

    def _predict_once(self, x: Tensor, profile: bool = False, embed: Any = None) -> Any:
        # Ultralytics runs the model once before there is an auxiliary branch, to find its strides.
        aux, aux_head = getattr(self, "aux", None), getattr(self, "aux_head", None)
        if not self.training or aux is None or aux_head is None:
            return super()._predict_once(x, profile, embed)
        outputs: list[Any] = []
        for layer in self.model:
            sources = layer.f if isinstance(layer.f, list) else [layer.f]
            taken = [x if source == -1 and not outputs else outputs[source] for source in sources]
            outputs.append(layer(taken if isinstance(layer.f, list) else taken[0]))
        preds = outputs[-1]
        preds["aux"] = aux_head(aux(x, [outputs[index] for index in BACKBONE]))
        return preds

    def init_criterion(self) -> DualLoss:
        """Make the criterion of both branches."""
        return settle_assigners(DualLoss(self), self.enlarge_tiny)

    def load(self, weights: Any, verbose: bool = True) -> None:
        """Take over the weights of another model wherever name and shape agree.

        Ultralytics would also make the class branch as wide as the source's; here it stays as wide as it was built.

        Args:
            weights: a YOLOv9 of Ultralytics (its backbone and neck fit, its head does not), or one of this class.
        """
        own = self.state_dict()
        taken = {
            name: tensor
            for name, tensor in weights.float().state_dict().items()
            if name in own and own[name].shape == tensor.shape
        }
        if getattr(weights, "names", None) != self.names:
            # The rows of the last layers stand for other classes.
            heads = tuple(
                f"{head}.cv3.{level}.2." for head in (f"model.{len(self.model) - 1}", "aux_head") for level in range(3)
            )
            taken = {name: tensor for name, tensor in taken.items() if not name.startswith(heads)}
        self.load_state_dict(taken, strict=False)

    def fuse(self, verbose: bool = True, imgsz: int = 640) -> YOLOv9:
        """Fold batch norms and merge branches, in the auxiliary branch too where it is still there.

        The paper's counts are of such a network, which never runs: what runs is stripped before it is fused.
        """
        super().fuse(verbose=verbose, imgsz=imgsz)
        if self.aux is not None and self.aux_head is not None:
            beside = BaseModel()
            beside.model = nn.ModuleList([self.aux, self.aux_head])
            beside.fuse(verbose=False)
        return self

    def strip(self) -> YOLOv9:
        """Drop the auxiliary branch; what the model predicts stays the same."""
        self.aux = None
        self.aux_head = None
        return self


def build(name: str, nc: int) -> YOLOv9:
    """Build a size of YOLOv9 for `nc` classes."""
    return YOLOv9(name, nc)


def main_plan(name: str, nc: int) -> dict[str, Any]:
    """The plan of the main branch, with Ultralytics' head, as Ultralytics reads it."""
    size = SIZES[name]
    plan: dict[str, Any] = {**copy.deepcopy(yaml_model_load(size.plan)), "nc": nc}
    if size.plain:
        plan["activation"] = "nn.ReLU()"
        for part in ("backbone", "head"):
            plan[part] = [
                [source, count, "Conv", [*arguments, 3, 2]] if kind == "ADown" else [source, count, kind, arguments]
                for source, count, kind, arguments in plan[part]
            ]
    return plan


def activate(model: nn.Module, activation: Callable[..., nn.Module]) -> None:
    """Replace the activation of every convolution that has one."""
    for module in model.modules():
        if isinstance(module, (Conv, RepConv)) and not isinstance(module.act, nn.Identity):
            module.act = activation(inplace=True)
