"""Weights with what is needed to use them: safetensors, whose header holds the settings as JSON.

Such a file runs no code when it is read. Ultralytics' own detectors keep Ultralytics' `.pt` instead, so that they load
in a plain Ultralytics; this form is for every other detector.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.errors import InputError
from icr.writing import whole

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
_KEY = "icr"
_FIELDS = {"engine": str, "model": str, "names": list, "imgsz": int, "settings": dict}


@dataclass(frozen=True)
class Checkpoint:
    """A trained detector as it is stored.

    Attributes:
        engine: the package under `icr` that loads it.
        model: the detector's name in the registry.
        names: class names; a label is an index into them.
        imgsz: side of the square input it was trained at, pixels.
        settings: what the engine needs besides, in plain JSON values.
        tensors: the state of the model, by name.
    """

    engine: str
    model: str
    names: list[str]
    imgsz: int
    settings: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Store a checkpoint; a kill leaves the old file or the new one, never a half of either.

    Tensors that share their memory (tied weights) are stored once for each name.
    """
    from safetensors.torch import save_file

    header = {key: getattr(checkpoint, key) for key in _FIELDS}
    tensors = {name: tensor.detach().to("cpu").clone().contiguous() for name, tensor in checkpoint.tensors.items()}
    with whole(path) as part:
        part.touch()
        usual = part.stat().st_mode  # safetensors leaves a file that its owner alone may read
        save_file(tensors, str(part), metadata={_KEY: json.dumps(header, ensure_ascii=False, allow_nan=False)})
        part.chmod(usual)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, its tensors on the CPU.

    Raises:
        InputError: no such file, no safetensors, or not one of ours.
    """
    with _opened(path) as file:
        return Checkpoint(**_header(path, file), tensors={name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a dict)


def read_header(path: Path) -> Checkpoint:
    """Read what a checkpoint says of itself, without its tensors.

    Raises:
        InputError: as in `read`.
    """
    with _opened(path) as file:
        return Checkpoint(**_header(path, file))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected weights made by icr train")
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(
            f"{path} is damaged or no safetensors file ({error}); expected weights made by icr train"
        ) from None


def _header(path: Path, file: Any) -> dict[str, Any]:
    try:
        header = json.loads((file.metadata() or {}).get(_KEY, ""))
    except ValueError:
        header = None
    if not isinstance(header, dict) or any(not isinstance(header.get(key), kind) for key, kind in _FIELDS.items()):
        raise InputError(
            f"{path} holds tensors but not what detector they belong to; expected weights made by icr train, "
            "or a folder that Transformers saved (config.json beside model.safetensors)"
        )
    return {key: header[key] for key in _FIELDS}
