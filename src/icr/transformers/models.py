"""Build the detectors of this engine: with the authors' counts and initialisation, from scratch or from a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from transformers.utils import logging

from icr.errors import InputError, nearest
from icr.transformers.plans import PLANS, configuration

STRIDE = 32
"""The coarsest stride: sides of the input are multiples of it."""

_CLASS_TENSORS = re.compile(r"(class_embed|enc_score_head|denoising_class_embed)\b")
_FILES = ("config.json", "model.safetensors")
_SHOWN = 4


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

    Its configuration is the authors' (R18, R34 and D-FINE with trainable norms in the backbone, R50 with frozen ones,
    and a frozen stem once weights are loaded). Where Transformers starts a network otherwise than they do, that is
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
            `decoder_layers=1`, `backbone_config={"depths": [1, 1, 1, 1]}`.

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
        raise InputError(
            f"no detector of Transformers is called {name!r}; known are {', '.join(PLANS)}{nearest(name, PLANS)}"
        )
    if imgsz < STRIDE or imgsz % STRIDE:
        raise InputError(f"imgsz {imgsz}: expected a multiple of {STRIDE}, the coarsest stride, such as 320 or 640")
    if not names:
        raise InputError("names is empty; expected the class names, such as ['plate', 'vehicle']")
    kind, config = configuration(name, names, imgsz, config_overrides)
    if pretrained is None:
        model = kind(config)
        mend(model.modules())
        return model.train()
    source = PLANS[name].hub if pretrained == "hub" else pretrained
    with _silence():
        model, report = _loaded(kind, config, source, name)
    _tell(report, source, name, say)
    stem = PLANS[name].frozen_stem
    if stem is not None:
        model.model.backbone.model.get_submodule(stem).requires_grad_(False)
    return model.train()


def mend(modules: Iterable[nn.Module]) -> None:
    """Start the scales of batch norms at 1, as the authors do; Transformers draws RT-DETR's from N(0, 0.01)."""
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _loaded(kind: Any, config: Any, source: Path | str, name: str) -> tuple[Any, dict[str, Any]]:
    """Load what fits; nothing is unpickled."""
    folder = Path(source)
    if folder.is_dir():
        absent = [file for file in _FILES if not (folder / file).is_file()]
        if absent:
            raise InputError(
                f"{folder}: {' and '.join(absent)} not there; expected a folder as save_pretrained leaves it, "
                f"with {' and '.join(_FILES)}"
            )
    elif isinstance(source, Path) or not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise InputError(
            f"pretrained {str(source)!r}: no such folder; name one with {' and '.join(_FILES)}, or 'hub' for the "
            f"authors' weights ({PLANS[name].hub}) where a network is to be had"
        )
    try:
        return kind.from_pretrained(  # type: ignore[no-any-return]
            source, config=config, output_loading_info=True, ignore_mismatched_sizes=True, use_safetensors=True
        )
    except Exception as error:  # a broken file, no network, a refusal of the hub: each has exceptions of its own
        first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise InputError(f"the weights {source} could not be loaded: {first}") from None


def _tell(report: dict[str, Any], source: Path | str, name: str, say: Callable[[str], None]) -> None:
    """Say which tensors were not taken; refuse the weights when they are not only those that depend on the classes."""
    mismatched = [key for key, *_ in report["mismatched_keys"]]
    made_anew = sorted({*mismatched, *report["missing_keys"]})
    foreign = [key for key in made_anew if not _CLASS_TENSORS.search(key)]
    spare = [key for key in report["unexpected_keys"] if not key.endswith("num_batches_tracked")]
    if foreign or spare:
        raise InputError(
            f"{source} does not hold the weights of {name}: {_listed(foreign, 'absent or of another shape')}"
            f"{'; ' if foreign and spare else ''}{_listed(spare, 'unknown to it')}; is it another network's?"
        )
    if made_anew:
        say(f"{source}: the class heads are made anew, for their classes are others: {', '.join(made_anew)}")


def _listed(keys: Sequence[str], what: str) -> str:
    more = ", …" if len(keys) > _SHOWN else ""
    return f"{len(keys)} tensors {what} ({', '.join(sorted(keys)[:_SHOWN])}{more})" if keys else ""


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Transformers' own report and its progress bar away: what matters of it is said in our words."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
