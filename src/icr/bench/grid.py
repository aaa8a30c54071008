"""A grid of trainings, as a YAML file or a preset describes it, and the cells it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from icr import presets as training_presets
from icr.bench import values
from icr.errors import InputError, nearest

WITHOUT_WEIGHT = frozenset({"baseline", "gain-0.5", "gain-1.5", "gain-2.5", "gain", "best-base"})
"""Arms that have no λ: they are run once, with weight 0, however many weights the grid names."""

OWN = "own"
"""In `bases`: the base loss of the detector itself (CIoU of a YOLO, GIoU of an RT-DETR)."""

KEYS = (
    *("name", "about", "data", "models", "bases", "weights", "arms", "seeds", "first_seed", "train", "train_for"),
    "own_bases",
)
TRAIN_KEYS = ("imgsz", "epochs", "batch", "workers", "preset", "overrides")
SOURCE_KEYS = ("path", "synth", "relations", "get")
SYNTH_KEYS = ("preset", "settings", "scene", "size", "label_noise", "seed", "train", "val", "test")


@dataclass(frozen=True)
class Cell:
    """One training of a grid.

    Attributes:
        data, model: names of the grid's.
        base: a registered IoU-family loss.
        arm: a way of training, `icr.bench.arms.ARMS`.
        weight: λ; 0 for an arm without one.
        seed: of the weights, of the order and augmentation of the data, and of generated training pictures.
    """

    data: str
    model: str
    base: str
    arm: str
    weight: float
    seed: int

    @property
    def key(self) -> str:
        """The folder of the cell below `cells/`.

        Example:
            >>> Cell("scenes", "small", "ciou", "icr", 2.5, 0).key
            'scenes/small/ciou/icr-w2.5/seed0'
        """
        return f"{self.data}/{self.model}/{self.base}/{self.arm}-w{self.weight:g}/seed{self.seed}"

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Cell:
        """The cell that `cell.json` describes."""
        return cls(
            data=str(record["data"]),
            model=str(record["model"]),
            base=str(record["base"]),
            arm=str(record["arm"]),
            weight=float(record["weight"]),
            seed=int(record["seed"]),
        )


@dataclass(frozen=True)
class Source:
    """Where a data set of a grid comes from: a path, a generated set, or (neither) a path the user has yet to give.

    Attributes:
        path: a `data.yaml`, a COCO JSON or a folder, absolute.
        synth: for a generated set: `preset` (`road`, `close`, `svmlp`, `crowded`) or `scene` (`rider`, `door`),
            `settings` in place of the preset's, `size`, `label_noise`, `seed`, and pictures of each split.
        relations: as on the command line, `plate:vehicle`; empty means the data's own.
        get: for a data set that is not generated: where it is to be had, in words.
    """

    path: Path | None = None
    synth: Mapping[str, Any] | None = None
    relations: tuple[str, ...] = ()
    get: str = ""

    def record(self) -> dict[str, Any]:
        """Plain values, as `grid.json` holds them; what is empty is left out."""
        found = {
            "path": None if self.path is None else str(self.path),
            "synth": None if self.synth is None else dict(self.synth),
            "relations": list(self.relations),
            "get": self.get,
        }
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Grid:
    """Arms × seeds × models × data sets × base losses × weights, and how each is trained.

    Attributes:
        name: names the store, `runs/bench-NAME`.
        data: data sets by name.
        models: by name, the detector or file that is trained.
        bases, weights, arms: see `Cell`; the base `own` is each detector's own.
        seeds, first_seed: how many seeds, and the first of them.
        train: `preset`, `imgsz`, `epochs`, `batch`, `workers`, `overrides` of all trainings.
        train_for: the same for single models, in place of those of `train`; `overrides` too, for they are the engine's.
        about: one line for `icr bench list`.
        own_bases: by model, the base `own` as it was found when the store was made; else the registry says.
    """

    name: str
    data: Mapping[str, Source]
    models: Mapping[str, str]
    bases: tuple[str, ...] = (OWN,)
    weights: tuple[float, ...] = (2.5,)
    arms: tuple[str, ...] = ("baseline", "icr")
    seeds: int = 3
    first_seed: int = 0
    train: Mapping[str, Any] = field(default_factory=dict)
    train_for: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: str = ""
    own_bases: Mapping[str, str] = field(default_factory=dict)

    def cells(self) -> list[Cell]:
        """Every cell once, data set by data set, model by model, seed by seed.

        Example:
            >>> grid = Grid("g", {"a": Source(Path("/a"))}, {"m": "yolo11n"}, weights=(1.0, 2.5), seeds=1)
            >>> [cell.key for cell in grid.cells()]
            ['a/m/ciou/baseline-w0/seed0', 'a/m/ciou/icr-w1/seed0', 'a/m/ciou/icr-w2.5/seed0']
        """
        return [
            Cell(data, model, base, arm, weight, seed)
            for data in self.data
            for model in self.models
            for base in self.bases_of(model)
            for seed in range(self.first_seed, self.first_seed + self.seeds)
            for arm in self.arms
            for weight in ((0.0,) if arm in WITHOUT_WEIGHT else self.weights)
        ]

    def bases_of(self, model: str) -> tuple[str, ...]:
        """The base losses of a model, each once.

        Raises:
            InputError: no detector is known by that name, so that its own base is not.
        """
        if OWN not in self.bases:
            return self.bases
        from icr.detectors import find

        own = self.own_bases.get(model) or find(self.models[model]).base
        return tuple(dict.fromkeys(own if base == OWN else base for base in self.bases))

    def training_of(self, model: str) -> dict[str, Any]:
        """How a model is trained: `train` with `train_for` over it, completed from the preset that they name.

        Raises:
            InputError: the preset is for other detectors, or no detector is known by that name.
        """
        found = {**self.train, **self.train_for.get(model, {})}
        if "preset" not in found:
            return found
        from icr.detectors import find

        return training_presets.applied(str(found["preset"]), find(self.models[model]), found)

    def record(self) -> dict[str, Any]:
        """Plain values; `read` of them gives the same grid."""
        found = asdict(self)
        found["data"] = {name: source.record() for name, source in self.data.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def presets() -> dict[str, Path]:
    """The grids that come with the package, by name."""
    folder = Path(str(files("icr.bench") / "presets"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def load(name: str | Path) -> Grid:
    """Read a grid: a preset's name, or a YAML file.

    Raises:
        InputError: there is neither, or the file is no grid.

    Example:
        >>> load("quick").arms
        ('baseline', 'icr', 'sum', 'matched', 'pseudo-parent')
    """
    import yaml

    known = presets()
    file = known.get(str(name), Path(name))
    if not file.is_file():
        raise InputError(
            f"{name}: neither a preset nor a YAML file; presets: {', '.join(known)}{nearest(str(name), known)}"
        )
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read as YAML: {' '.join(str(error).split())}") from None
    return read({"name": file.stem, **content} if isinstance(content, dict) else content, str(file), file.parent)


def read(content: Any, where: str, folder: Path) -> Grid:
    """Make a grid of plain values.

    Args:
        content: what a YAML file or `grid.json` holds.
        where: names it in errors.
        folder: paths in it start here.

    Raises:
        InputError: a key is unknown or missing, or a value is not of its kind; one line that names it.
    """
    if not isinstance(content, dict):
        raise InputError(f"{where} holds {values.kind_of(content)}; expected a mapping with data, models and arms")
    values.refuse_unknown(content, KEYS, where)
    for key in ("data", "models"):
        if not content.get(key):
            raise InputError(f"{where}: {key} is missing; a grid needs at least one entry of it")
    models = _models(content["models"], where, folder)
    train_for = values.mapping(content.get("train_for") or {}, f"{where}: train_for")
    for model in train_for:
        if model not in models:
            raise InputError(f"{where}: train_for names {model}, which models does not{nearest(str(model), models)}")
    return Grid(
        name=values.folder_name(content.get("name"), f"{where}: name"),
        data={
            values.folder_name(name, f"{where}: data"): _source(each, f"{where}: data {name}", folder)
            for name, each in values.mapping(content["data"], f"{where}: data").items()
        },
        models=models,
        bases=values.texts(content.get("bases", [OWN]), f"{where}: bases"),
        weights=values.numbers(content.get("weights", [2.5]), f"{where}: weights"),
        arms=values.texts(content.get("arms", ["baseline", "icr"]), f"{where}: arms"),
        seeds=values.whole(content.get("seeds", 3), 1, f"{where}: seeds"),
        first_seed=values.whole(content.get("first_seed", 0), 0, f"{where}: first_seed"),
        train={"overrides": {}, **_train(content.get("train") or {}, f"{where}: train")},
        train_for={model: _train(each, f"{where}: train_for {model}") for model, each in train_for.items()},
        about=str(content.get("about", "")),
        own_bases=values.mapping(content.get("own_bases") or {}, f"{where}: own_bases"),
    )


def _source(value: Any, where: str, folder: Path) -> Source:
    if isinstance(value, str):
        value = {"path": value}
    value = values.mapping(value or {}, where)
    values.refuse_unknown(value, SOURCE_KEYS, where)
    if "path" in value and "synth" in value:
        raise InputError(f"{where} has both path and synth; give one of them")
    synth = value.get("synth")
    if synth is not None:
        values.refuse_unknown(values.mapping(synth, f"{where} synth"), SYNTH_KEYS, f"{where} synth")
        for split in ("train", "val", "test"):
            values.whole(synth.get(split, 1), 1, f"{where} synth: {split}")
    path = value.get("path")
    return Source(
        path=None if path is None else (folder / Path(str(path)).expanduser()).resolve(),
        synth=synth,
        relations=values.texts(value.get("relations", []), f"{where} relations", least=0),
        get=str(value.get("get", "")),
    )


def _models(value: Any, where: str, folder: Path) -> dict[str, str]:
    """Detectors by name; a file is named after itself, or by the mapping, and found from the grid's folder."""
    entries = value if isinstance(value, dict) else {}
    if not entries:
        for each in values.texts(value, f"{where}: models"):
            name = Path(each).stem if Path(each).suffix in (".pt", ".yaml", ".yml") else each
            if name in entries:
                raise InputError(f"{where}: models names {name} twice")
            entries[name] = each
    return {values.folder_name(name, f"{where}: models"): _file(str(model), folder) for name, model in entries.items()}


def _file(model: str, folder: Path) -> str:
    file = folder / Path(model).expanduser()
    return str(file.resolve()) if file.is_file() else model


def _train(content: Any, where: str) -> dict[str, Any]:
    found = values.mapping(content, where)
    values.refuse_unknown(found, TRAIN_KEYS, where)
    for key in ("imgsz", "epochs", "batch", "workers"):
        if key in found:
            values.whole(found[key], 0 if key == "workers" else 1, f"{where}: {key}")
    if "preset" in found:
        training_presets.read(str(found["preset"]))
    if "overrides" in found:
        found["overrides"] = values.mapping(found["overrides"] or {}, f"{where}: overrides")
    return found
