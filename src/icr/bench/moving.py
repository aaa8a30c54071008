"""A store that was moved: what its run folders say of places in it is brought up to date."""

from __future__ import annotations

from pathlib import Path

import yaml

from icr import runs

_CONFIG = "data.yaml"


def settle(store: Path) -> None:
    """Let the run folders of a store that was moved say where it lies now.

    A run that is not trained to its end loses its `data.yaml`, which names pictures by their old places; it is made
    anew from the data when the run goes on.

    Args:
        store: its folder; nobody works in it meanwhile.
    """
    here = store.resolve()
    for file in here.glob(f"cells/*/*/*/*/*/{runs.RECORD}"):
        before = _place_before(file.parent, here)
        if before is None or before == here:
            continue
        record = runs.read_record(file.parent)
        places = {key: Path(str(record.get(key))) for key in ("model", "data")}
        now = {key: str(here / at.relative_to(before)) for key, at in places.items() if at.is_relative_to(before)}
        if now:
            runs.write_json(file, {**record, **now})
        if not record.get("trained"):
            # Last: a kill before it leaves a store that is seen to have been moved.
            (file.parent / _CONFIG).unlink()


def _place_before(folder: Path, store: Path) -> Path | None:
    """Where a store lay when the `data.yaml` of a run folder in it was made; None where nothing tells."""
    try:
        config = yaml.safe_load((folder / _CONFIG).read_text(encoding="utf-8"))
        data = Path(config["path"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return None
    inside = (folder / "data").relative_to(store)
    return data.parents[len(inside.parts) - 1] if data.parts[-len(inside.parts) :] == inside.parts else None
