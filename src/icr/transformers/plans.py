"""The networks of this engine as configurations of Transformers, with the authors' settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from icr.errors import InputError, nearest

_BASIC = {
    "encoder_in_channels": [128, 256, 512],
    "hidden_expansion": 0.5,
    "freeze_backbone_batch_norms": False,
}
_RESNETS: dict[str, dict[str, Any]] = {
    "r18": {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
    "r34": {"layer_type": "basic", "depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 256, 512]},
    "r50": {"layer_type": "bottleneck", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]},
}
_RT_DETR: dict[str, dict[str, Any]] = {
    "r18": {**_BASIC, "decoder_layers": 3},
    "r34": {**_BASIC, "decoder_layers": 4},
    "r50": {"decoder_layers": 6},
}
_HGNET_B0: dict[str, Any] = {
    "hidden_sizes": [128, 256, 512, 1024],
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "use_learnable_affine_block": True,
}
_D_FINE: dict[str, dict[str, Any]] = {
    "s": {
        "encoder_in_channels": [256, 512, 1024],
        "hidden_expansion": 0.5,
        "depth_mult": 0.34,
        "decoder_layers": 3,
        "decoder_n_points": [3, 6, 3],
        "freeze_backbone_batch_norms": False,
    },
    "n": {
        "num_feature_levels": 2,
        "feat_strides": [16, 32],
        "encoder_in_channels": [512, 1024],
        "encode_proj_layers": [1],
        "encoder_hidden_dim": 128,
        "encoder_ffn_dim": 512,
        "d_model": 128,
        "decoder_in_channels": [128, 128],
        "decoder_ffn_dim": 512,
        "decoder_layers": 3,
        "decoder_n_points": [6, 6],
        "hidden_expansion": 0.34,
        "depth_mult": 0.5,
        "freeze_backbone_batch_norms": False,
    },
}


@dataclass(frozen=True)
class Plan:
    """One network.

    Attributes:
        kind: prefix of Transformers' classes, `RTDetrV2` of `RTDetrV2Config`.
        backbone_kind: `RTDetrResNet` or `HGNetV2`.
        settings: of the detector's configuration, where they differ from its defaults.
        backbone: of the backbone's.
        hub: where the authors' weights lie.
        frozen_stem: part of the backbone that is never trained once it has learnt.
    """

    kind: str
    backbone_kind: str
    settings: dict[str, Any]
    backbone: dict[str, Any]
    hub: str
    frozen_stem: str | None = field(default=None)


def _rt_detr(version: str, size: str) -> Plan:
    hub = f"PekingU/rtdetr{'_v2' if version == 'V2' else ''}_{size}vd"
    backbone = {**_RESNETS[size], "out_indices": [2, 3, 4]}
    return Plan(
        f"RTDetr{version}", "RTDetrResNet", _RT_DETR[size], backbone, hub, "embedder" if size == "r50" else None
    )


def _d_fine(size: str) -> Plan:
    levels = [3, 4] if size == "n" else [2, 3, 4]
    hub = f"ustc-community/dfine-{'nano' if size == 'n' else 'small'}-coco"
    return Plan("DFine", "HGNetV2", _D_FINE[size], {**_HGNET_B0, "out_indices": levels}, hub)


PLANS: dict[str, Plan] = {
    **{f"rtdetrv2-{size}": _rt_detr("V2", size) for size in _RESNETS},
    **{f"rtdetr-{size}": _rt_detr("", size) for size in _RESNETS},
    **{f"dfine-{size}": _d_fine(size) for size in "ns"},
}
"""By the name that `--model` takes."""

PRIOR = 0.01
"""What a class is taken to be worth before training, as in the authors' code; Transformers has 1 / (classes + 1)."""


def configuration(name: str, names: Sequence[str], imgsz: int, overrides: Mapping[str, Any]) -> tuple[type, Any]:
    """Transformers' class of a network, and its configuration.

    Args:
        name: one of `PLANS`.
        names: class names.
        imgsz: side of the input in pixels, kept as `imgsz`.
        overrides: settings of the configuration that win over the plan's; under `backbone_config` the backbone's.

    Raises:
        InputError: the configuration has no such setting.
    """
    import transformers
    from huggingface_hub.errors import StrictDataclassError

    plan = PLANS[name]
    make = getattr(transformers, f"{plan.kind}Config")
    make_backbone = getattr(transformers, f"{plan.backbone_kind}Config")
    for_backbone = overrides.get("backbone_config", {})
    _refuse_unknown(overrides, make)
    _refuse_unknown(for_backbone, make_backbone)
    if overrides.get("decoder_layers", 2) < 2:
        raise InputError(f"decoder_layers {overrides['decoder_layers']}: Transformers builds no decoder below 2 layers")
    settings = {
        "initializer_bias_prior_prob": PRIOR,
        "id2label": dict(enumerate(names)),
        "label2id": {each: index for index, each in enumerate(names)},
        "imgsz": imgsz,
        **plan.settings,
        **overrides,
    }
    try:
        settings["backbone_config"] = make_backbone(**{**plan.backbone, **for_backbone})
        config = make(**settings)
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise InputError(f"{make.__name__} refuses its settings: {' '.join(str(error).split())}") from None
    return getattr(transformers, f"{plan.kind}ForObjectDetection"), config


def _refuse_unknown(overrides: Mapping[str, Any], make: type) -> None:
    """Transformers keeps a mistyped setting without a word."""
    known = [each for each in dir(make()) if not each.startswith("_")]
    for key in overrides:
        if key not in known:
            raise InputError(f"{make.__name__} has no setting {key!r}{nearest(key, known)}")
