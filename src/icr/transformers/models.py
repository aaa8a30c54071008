"""Build the detectors of this engine: with the authors' counts and initialisation, from scratch or from a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from icr.errors import InputError, nearest
from icr.transformers import pretrained as weights
from icr.transformers.plans import PLANS, configuration

STRIDE = 32
"""The coarsest stride: sides of the input are multiples of it."""


def build(
    name: str,
    names: Sequence[str],
    *,
    imgsz: int = 640,
    pretrained: Path | str | None = None,
    say: Callable[[str], None] = print,
    **config_overrides: Any,
) -> Any:
    """Build a detector of Transformers.

    Its configuration is the authors': R18, R34 and D-FINE with trainable norms in the backbone, R50 with frozen ones,
    and with a frozen stem once weights are loaded. Where Transformers starts a network otherwise than they do, that is
    mended: the scales of batch norms start at 1 instead of near 0, and a class is taken to be worth 0.01.

    Args:
        name: `rtdetrv2-r18`, `-r34`, `-r50`, `rtdetr-r18`, `-r34`, `-r50`, `dfine-n`, `dfine-s`.
        names: class names.
        imgsz: side of the square input in pixels, a multiple of 32; kept in the configuration, the network takes any.
        pretrained: a folder with `config.json` and `model.safetensors`, as `save_pretrained` leaves it; or, where a
            network is to be had, `hub` for the authors' weights or another `owner/name` of the Hugging Face hub.
            Tensors that depend on the classes are made anew when their number differs, and `say` tells which.
        say: called with what a person should know.
        config_overrides: settings of Transformers' configuration that win over the authors': `num_queries=50`,
            `decoder_layers=2`, `backbone_config={"depths": [1, 1, 1, 1]}`.

    Returns:
        The model, in training mode. Its `loss_function` is Transformers' own; see `icr.transformers.loss_function`.

    Raises:
        InputError: no detector has that name, a setting is unknown, or the weights are absent or another network's.

    Example:
        >>> model = build("rtdetrv2-r18", ["plate", "vehicle"])
        >>> sum(each.numel() for each in model.parameters())
        20084312
    """
    if name not in PLANS:
        known = ", ".join(PLANS)
        raise InputError(f"no detector of Transformers is called {name!r}; known are {known}{nearest(name, PLANS)}")
    if imgsz < STRIDE or imgsz % STRIDE:
        raise InputError(f"imgsz {imgsz}: expected a multiple of {STRIDE}, the coarsest stride, such as 320 or 640")
    if not names:
        raise InputError("names is empty; expected the class names, such as ['plate', 'vehicle']")
    kind, config = configuration(name, names, imgsz, config_overrides)
    if pretrained is None:
        model = kind(config)
        mend(model.modules())
        return model.train()
    plan = PLANS[name]
    model = weights.load(kind, config, plan.hub if pretrained == "hub" else pretrained, name, say)
    if plan.frozen_stem is not None:
        model.model.backbone.model.get_submodule(plan.frozen_stem).requires_grad_(False)
    return model.train()


def mend(modules: Iterable[nn.Module]) -> None:
    """Start the scales of batch norms at 1, as the authors do; Transformers draws RT-DETR's from N(0, 0.01)."""
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
