"""A detector of each kind with a few thousand weights, and labels whose plates lie where no network looks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import Tensor

from icr.transformers import build

NAMES = ["plate", "vehicle"]

_HYBRID: dict[str, Any] = {
    "num_queries": 12,
    "num_denoising": 8,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
_THREE_LEVELS: dict[str, Any] = {
    **_HYBRID,
    "decoder_in_channels": [32, 32, 32],
    "encoder_in_channels": [16, 16, 16],
    "backbone_config": {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
}
_HGNET: dict[str, Any] = {
    "stem_channels": [3, 4, 4],
    "stage_in_channels": [4, 8, 8, 8],
    "stage_mid_channels": [4, 4, 4, 4],
    "stage_out_channels": [8, 8, 8, 8],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_numb_of_layers": [1, 1, 1, 1],
    "hidden_sizes": [8, 8, 8, 8],
}
_GROUPED: dict[str, Any] = {
    "d_model": 32,
    "decoder_ffn_dim": 32,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "num_queries": 8,
    "group_detr": 2,
    "decoder_layers": 2,
    "num_labels": 2,
}


def rtdetr(name: str = "rtdetrv2-r18", **others: Any) -> Any:
    """RT-DETR with three decoder layers, as R18 has."""
    return build(name, NAMES, **{**_THREE_LEVELS, **others})


def dfine() -> Any:
    """D-FINE-N with smaller parts."""
    settings = {**_HYBRID, "decoder_in_channels": [32, 32], "encoder_in_channels": [8, 8]}
    return build("dfine-n", NAMES, **settings, backbone_config=_HGNET)


def deimv2() -> Any:
    """DEIMv2 on the same backbone."""
    settings = {**_HYBRID, "decoder_in_channels": [32] * 3, "encoder_in_channels": [8] * 3, "decoder_layers": 2}
    backbone = transformers.HGNetV2Config(**_HGNET, out_indices=[2, 3, 4])
    return transformers.Deimv2ForObjectDetection(
        transformers.Deimv2Config(backbone_config=backbone, num_labels=2, freeze_backbone_batch_norms=False, **settings)
    )


def lw_detr() -> Any:
    """LW-DETR with two groups of queries."""
    backbone = transformers.LwDetrViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        pretrain_image_size=64,
        num_windows=4,
        window_block_indices=[0],
        out_indices=[1, 2],
    )
    config = transformers.LwDetrConfig(backbone_config=backbone, projector_scale_factors=[1.0], **_GROUPED)
    return transformers.LwDetrForObjectDetection(config)


def rf_detr() -> Any:
    """RF-DETR with two groups of queries; its patches are of 16 pixels here, so that all networks see one size."""
    backbone = transformers.RfDetrDinov2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        num_windows=1,
        out_indices=[1, 2],
    )
    return transformers.RfDetrForObjectDetection(transformers.RfDetrConfig(backbone_config=backbone, **_GROUPED))


KINDS: dict[str, Callable[[], Any]] = {
    "RT-DETRv2": rtdetr,
    "RT-DETR": lambda: rtdetr("rtdetr-r18"),
    "D-FINE": dfine,
    "DEIMv2": deimv2,
    "LW-DETR": lw_detr,
    "RF-DETR": rf_detr,
}


def shaken(kind: str) -> Any:
    """A network whose weights were drawn wide enough that its boxes lie all over the picture, in training mode."""
    torch.manual_seed(0)
    model = KINDS[kind]()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model.train()


PICTURES = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def labels(**parents: list[list[int]]) -> list[dict[str, Tensor]]:
    """Two pictures with a plate on a vehicle, two vehicles apart, and one picture without a box.

    Args:
        parents: `parent=[...]`, one list for each picture, to state the parents.
    """
    boxes = [
        [[0.10, 0.10, 0.06, 0.03], [0.12, 0.12, 0.20, 0.16]],
        [[0.90, 0.85, 0.05, 0.04], [0.88, 0.86, 0.18, 0.20], [0.30, 0.40, 0.30, 0.20]],
        [],
    ]
    classes = [[0, 1], [0, 1, 1], []]
    found = [
        {"boxes": torch.tensor(box).reshape(-1, 4), "class_labels": torch.tensor(kind, dtype=torch.int64)}
        for box, kind in zip(boxes, classes, strict=True)
    ]
    for each, parent in zip(found, parents.get("parent", []), strict=bool(parents)):
        each["parent"] = torch.tensor(parent, dtype=torch.int64)
    return found


def step(model: Any, targets: list[dict[str, Tensor]] | None = None) -> Any:
    """One forward pass in training, the same denoising queries each time."""
    torch.manual_seed(1)
    return model(pixel_values=PICTURES, labels=labels() if targets is None else targets)
