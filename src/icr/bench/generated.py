"""Generated data sets of a grid: each seed draws its own training pictures; val and test are the same for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.errors import InputError, nearest
from icr.writing import whole

if TYPE_CHECKING:
    from icr.data.synth import SceneSettings

SHARED = "shared"
PRESETS = ("road", "close", "svmlp", "crowded")
COUNTS = {"train": 240, "val": 30, "test": 30}

Say = Callable[[str], None]


def make(
    folder: Path, synth: Mapping[str, Any], seed: int, *, workers: int | None = None, say: Say = lambda text: None
) -> Path:
    """Generate what is not there yet of the set of one seed.

    Args:
        folder: of all seeds; gets `seed0/` with training pictures, `shared/` with the others.
        synth: `icr.bench.grid.Source.synth`.
        seed: of the cell; the training pictures are drawn with this seed added to that of `synth`.
        workers: processes that draw; None: one a core.
        say: told when pictures are drawn.

    Returns:
        The `data.yaml` of this seed.

    Raises:
        InputError: the settings make no scene.
    """
    counts, first = counts_of(synth), int(synth.get("seed", 0))
    own = folder / f"seed{seed}"
    parts = (
        (folder / SHARED, {split: counts[split] for split in ("val", "test")}, first),
        (own, {"train": counts["train"]}, first + seed),
    )
    for out, drawn, own_seed in parts:
        if not (out / "manifest.json").is_file():
            say(f"drawing {sum(drawn.values())} pictures ({', '.join(drawn)}) in {out}")
            _draw(out, synth, drawn, own_seed, workers)
    _join(own)
    return own / "data.yaml"


def counts_of(synth: Mapping[str, Any]) -> dict[str, int]:
    """Pictures of each split.

    Example:
        >>> counts_of({"train": 320, "test": 300})
        {'train': 320, 'val': 30, 'test': 300}
    """
    return {split: int(synth.get(split, usual)) for split, usual in COUNTS.items()}


def check(synth: Mapping[str, Any], where: str) -> None:
    """Refuse, before any work, settings that make no scene.

    Raises:
        InputError: one line that names the setting.
    """
    from icr.data.synth.generate import scene_settings

    try:
        scene_settings(_size(synth), _close(synth), _scene(synth))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _draw(out: Path, synth: Mapping[str, Any], counts: dict[str, int], seed: int, workers: int | None) -> None:
    from icr.data.synth import generate

    generate(
        out,
        counts=counts,
        size=_size(synth),
        seed=seed,
        close=_close(synth),
        workers=workers,
        scene=_scene(synth),
        label_noise=float(synth.get("label_noise", 0.0)) if "train" in counts else 0.0,
    )


def _join(own: Path) -> None:
    """Have the `data.yaml` of one seed name the shared pictures too."""
    from icr.data.formats.yolo_config import read_config
    from icr.data.formats.yolo_write import write_config

    file = own / "data.yaml"
    config = read_config(file, [])
    if "test" in config.splits:
        return
    splits = {"train": f"{own.name}/images/train", **{each: f"{SHARED}/images/{each}" for each in ("val", "test")}}
    with whole(file) as part:
        write_config(part, {"path": "..", **splits}, config.names, config.relations)


def _scene(synth: Mapping[str, Any]) -> str:
    scene = str(synth.get("scene", "road"))
    if scene != "road" and ("preset" in synth or "settings" in synth):
        raise InputError(f"preset and settings are for the scene road, not for {scene}: leave them out")
    return scene


def _size(synth: Mapping[str, Any]) -> tuple[int, int] | None:
    size = synth.get("size")
    if size is None:
        return None
    if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(type(side) is int for side in size):
        raise InputError(f"size is {size!r}; expected width and height in pixels, such as [1280, 720]")
    return int(size[0]), int(size[1])


def _close(synth: Mapping[str, Any]) -> bool | SceneSettings:
    """The preset with the grid's own settings in place of its."""
    from icr.data.synth import CLOSE, CROWDED, DEFAULT, SVMLP

    known = {"road": DEFAULT, "close": CLOSE, "svmlp": SVMLP, "crowded": CROWDED}
    preset, settings = str(synth.get("preset", "road")), synth.get("settings") or {}
    if preset not in known:
        raise InputError(f"preset {preset} is unknown; known are {', '.join(known)}{nearest(preset, known)}")
    if not isinstance(settings, dict):
        raise InputError(f"settings is {settings!r}; expected a mapping, such as {{plates: [1, 3]}}")
    if preset == "road" and not settings:
        return False
    fields = [each.name for each in dataclasses.fields(known[preset])]
    for key in settings:
        if key not in fields:
            raise InputError(f"settings has no {key}; known are {', '.join(fields)}{nearest(str(key), fields)}")
    try:
        return replace(known[preset], **{key: _tuples(value) for key, value in settings.items()})
    except (TypeError, ValueError) as error:
        raise InputError(f"settings cannot be used: {error}") from None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
