"""Where a detector of Transformers comes from and how it is stored: our safetensors, or a folder of Transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForObjectDetection

from icr import checkpoints
from icr.checkpoints import SUFFIX, Checkpoint
from icr.errors import InputError
from icr.transformers.criterion import FAMILIES
from icr.transformers.models import build
from icr.transformers.plans import PLANS
from icr.transformers.settings import EngineSettings

ENGINE = "transformers"


@dataclass(frozen=True)
class Loaded:
    """A detector from a file or folder; `model` is its name in the registry, or its kind where it has none there."""

    network: Any
    model: str
    imgsz: int | None


def write(path: Path, network: Any, *, model: str, imgsz: int) -> None:
    """Store a network with its configuration, so that `read` needs nothing else."""
    names = [str(network.config.id2label[index]) for index in sorted(network.config.id2label)]
    settings = {"config": json.loads(network.config.to_json_string(use_diff=False))}
    checkpoints.write(path, Checkpoint(ENGINE, model, names, imgsz, settings, network.state_dict()))


def read(weights: Path) -> Loaded:
    """Load weights that `write` stored, or a folder that Transformers saved; nothing is unpickled or downloaded.

    Raises:
        InputError: no such weights, or those of a detector that this engine does not know.
    """
    return _from_folder(weights) if weights.is_dir() else _from_file(weights)


def _from_file(path: Path, names: Sequence[str] = (), say: Callable[[str], None] = print) -> Loaded:
    stored = checkpoints.read(path)
    if stored.engine != ENGINE or "config" not in stored.settings:
        raise InputError(f"{path} holds weights of the engine {stored.engine!r}; expected those of {ENGINE!r}")
    said = dict(stored.settings["config"])
    if names:
        said |= _classes(names)
    _check_kind(str(said.get("model_type")), path)
    network = AutoModelForObjectDetection.from_config(AutoConfig.for_model(**said))
    own = network.state_dict()
    fits = {key: tensor for key, tensor in stored.tensors.items() if key in own and own[key].shape == tensor.shape}
    if set(fits) != set(own):
        others = sorted(set(own) - set(fits))
        if not names or len(others) > len(own) // 2:
            raise InputError(f"{path}: {len(others)} of its tensors do not fit its own configuration; is it damaged?")
        say(f"{path} was trained on {len(stored.names)} classes; its class heads are made anew for {len(names)}")
    network.load_state_dict(fits, strict=False)
    return Loaded(network, stored.model, stored.imgsz)


def _from_folder(folder: Path, names: Sequence[str] = ()) -> Loaded:
    from icr.transformers.prediction import scale_of

    if not (folder / "model.safetensors").is_file():
        raise InputError(
            f"{folder} holds no model.safetensors; expected a folder that Transformers saved "
            "(a pytorch_model.bin is a pickle and is not read)"
        )
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _check_kind(config.model_type, folder)
        for key, value in (_classes(names) if names else {}).items():
            setattr(config, key, value)
        network = AutoModelForObjectDetection.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, ignore_mismatched_sizes=bool(names)
        )
    except InputError:
        raise
    except Exception as error:  # a broken file makes the reader fail in any way there is
        first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise InputError(f"{folder} cannot be loaded as a detector of Transformers: {first}") from None
    return Loaded(network, config.model_type, scale_of(folder)[1])


def _check_kind(kind: str, where: Path) -> None:
    if kind not in FAMILIES:
        raise InputError(f"{where} holds a {kind!r}; this engine takes {', '.join(FAMILIES)}")


def _classes(names: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def start(model: str, names: Sequence[str], imgsz: int, settings: EngineSettings, say: Callable[[str], None]) -> Loaded:
    """Build what `--model` names, for these classes.

    Args:
        model: a registered name, weights of ours, or a folder that Transformers saved.
        names: class names.
        imgsz: side of the square input, pixels.
        settings: of the engine; `pretrained`, `queries`, `denoising` and `config` are used.
        say: told where the weights come from.

    Raises:
        InputError: there is no such model, or its weights are absent or another network's.
    """
    path = Path(model)
    given = settings.pretrained if isinstance(settings.pretrained, str) else None
    if model not in PLANS:
        say(f"{model}: starting from its weights")
        return _from_folder(path, names) if path.is_dir() else _from_file(path, names, say)
    own = {"num_queries": settings.queries, "num_denoising": settings.denoising, **settings.config}
    if given and given.endswith(SUFFIX):
        loaded = _from_file(Path(given), names, say)
        if loaded.model != model:
            raise InputError(f"--set pretrained={given}: these are weights of {loaded.model}, not of {model}")
        say(f"{model}: starting from the weights of {given}")
        return loaded
    if given is None and model.endswith("r50"):
        own.setdefault("freeze_backbone_batch_norms", False)  # frozen, they would stay as they were made
    try:
        network = build(model, names, imgsz=imgsz, pretrained=given, say=say, **own)
    except InputError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        if not settings.config:
            raise
        raise InputError(f"--set config={settings.config}: Transformers cannot build that ({error})") from None
    say(f"{model}: starting from {given or 'scratch (no weights are named; --set pretrained=FOLDER takes some)'}")
    return Loaded(network, model, imgsz)
