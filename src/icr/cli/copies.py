"""An altered copy of a data set: how the commands that write one read the set, and write the copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.data.formats import Images


def read_to_copy(data: Path, format: str | None, to: str | None) -> tuple[Dataset, str]:
    """Read a data set and settle the format of its copy; what is not carried over, and why it is that one, is said."""
    from icr.cli.output import progress, say
    from icr.data import formats
    from icr.data.copying import target_format, told_faults

    with progress("reading labels"):
        dataset = formats.read(data, format=format)
    target, why = target_format(dataset, to)
    for each in filter(None, (told_faults(dataset), why and f"{why}; --to chooses another")):
        say(each)
    return dataset, target


def write_copy(dataset: Dataset, out: Path, target: str, images: Images) -> list[str]:
    """Write a copy; what its format does not hold is said, and returned."""
    from icr.cli.output import progress, say
    from icr.data import formats

    with progress("writing"):
        lost = formats.write(dataset, out, target, images=images)
    for each in lost:
        say(f"not held by {target}: {each}")
    return list(lost)
