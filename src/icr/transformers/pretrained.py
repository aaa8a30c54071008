"""Weights for a network of Transformers, from a folder or the hub: what fits is taken, what does not is said."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from transformers.utils import logging

from icr.errors import InputError

FILES = ("config.json", "model.safetensors")
"""What a folder of weights holds; nothing is ever unpickled."""

_CLASS_TENSORS = re.compile(r"(class_embed|enc_score_head|denoising_class_embed)\b")
_COUNTER = "num_batches_tracked"
_SHOWN = 4
_PATIENCE = 10
"""Seconds to wait for the hub."""


def load(kind: Any, config: Any, source: Path | str, name: str, say: Callable[[str], None]) -> Any:
    """Make a network with the weights of a folder or of the hub.

    Tensors that depend on the classes are made anew when the number of classes differs, and `say` tells which.

    Args:
        kind: Transformers' class.
        config: its configuration.
        source: a folder that holds `FILES`, or `owner/name` of the hub.
        name: the detector's, for the errors.

    Raises:
        InputError: there are no such weights, they cannot be read, or they are another network's.
    """
    folder = Path(source)
    local = folder.is_dir()
    if local:
        absent = [file for file in FILES if not (folder / file).is_file()]
        if absent:
            raise InputError(
                f"{folder} lacks {' and '.join(absent)}; expected a folder as save_pretrained leaves it, "
                f"with {' and '.join(FILES)}"
            )
    elif folder.exists() or isinstance(source, Path) or not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        found = "a file, no folder" if folder.exists() else "no such folder"
        raise InputError(
            f"pretrained {str(source)!r}: {found}; name one that holds {' and '.join(FILES)}, or 'hub' for the "
            "authors' weights where a network is to be had"
        )
    else:
        local = _cached(source)
        if not local:
            _require_hub(source)
    with _silence():
        try:
            model, report = kind.from_pretrained(
                source,
                config=config,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                local_files_only=local,
            )
        except Exception as error:  # a broken file, a refusal of the hub: each has exceptions of its own
            first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise InputError(f"the weights {source} could not be loaded: {first}") from None
    _tell(report, source, name, say)
    return model


def _cached(repository: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, FILES[1]), str)


def _require_hub(repository: str) -> None:
    """Ask once whether the hub answers: its own client tries for most of a minute."""
    from huggingface_hub import constants

    instead = f"name a folder that holds {' and '.join(FILES)} instead, or train from scratch"
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"the weights {repository} are not in the cache and HF_HUB_OFFLINE is set; {instead}")
    request = Request(f"{os.environ.get('HF_ENDPOINT', constants.ENDPOINT)}/{repository}", method="HEAD")
    try:
        urlopen(request, timeout=_PATIENCE).close()
    except HTTPError:
        return  # it answers: what is wrong with the name, its client says better
    except OSError as error:
        raise InputError(f"the weights {repository} cannot be fetched, no network ({error}); {instead}") from None


def _tell(report: dict[str, Any], source: Path | str, name: str, say: Callable[[str], None]) -> None:
    """Say which tensors were not taken; refuse the weights when they are not only those that depend on the classes."""
    # weights saved with frozen norms hold no such counter, and a momentum of a fixed size does not read it
    absent = {key for key in report["missing_keys"] if not key.endswith(_COUNTER)}
    made_anew = sorted({*(key for key, *_ in report["mismatched_keys"]), *absent})
    spare = sorted(key for key in report["unexpected_keys"] if not key.endswith(_COUNTER))
    foreign = [key for key in made_anew if not _CLASS_TENSORS.search(key)]
    layers = [key for key in spare if key.endswith((".weight", ".bias"))]
    if foreign or layers:
        kinds = (_listed(foreign, "absent or of another shape"), _listed(layers, "unknown to it"))
        raise InputError(
            f"{source} does not hold the weights of {name}: {'; '.join(filter(None, kinds))}; is it another network's?"
        )
    if spare:
        say(f"{source}: not taken, for {name} has no such tensors: {', '.join(spare)}")
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
