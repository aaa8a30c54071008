"""Which picture, and which of its boxes, a finding is about."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.formats.yolo import pairs_file

_ANNOTATION = re.compile(r"annotations? (\d+)")


@dataclass(frozen=True)
class Placed:
    """A finding about a picture, and the index of the box it is about; None where it is about no one box."""

    finding: Finding
    box: int | None


def attribute(dataset: Dataset, findings: Sequence[Finding]) -> tuple[dict[int, list[Placed]], list[Finding]]:
    """Sort findings by the picture that they are about.

    A finding belongs to the picture whose file, label file or pairs file it names. A label file that several pictures
    share (COCO) does not tell; there the annotation named in the message does.

    Returns:
        The findings of each picture by the `id()` of its `Sample`, and those that are about none.
    """
    samples = [sample for split in dataset.splits.values() for sample in split]
    by_file: dict[str, list[Sample]] = {}
    sharing: dict[str, int] = {}
    for sample in samples:
        if sample.label_file is not None:
            sharing[str(sample.label_file)] = sharing.get(str(sample.label_file), 0) + 1
    rows: dict[tuple[str, int], tuple[Sample, int]] = {}
    for sample in samples:
        own = {str(sample.image), str(pairs_file(sample.image))}
        if sample.label_file is not None:
            own.add(str(sample.label_file))
            for box, line in enumerate(sample.lines.tolist()):
                rows.setdefault((str(sample.label_file), line), (sample, box))
        for file in own:
            if sharing.get(file, 1) == 1:
                by_file.setdefault(os.path.normpath(file), []).append(sample)
    placed: dict[int, list[Placed]] = {}
    homeless: list[Finding] = []
    for finding in findings:
        shared = sharing.get(finding.file, 1) > 1
        named = _ANNOTATION.search(finding.message) if shared or finding.line is None else None
        row = finding.line if named is None else int(named[1])
        at = None if row is None else rows.get((finding.file, row))
        owners = by_file.get(os.path.normpath(finding.file), [])
        if at is not None:
            placed.setdefault(id(at[0]), []).append(Placed(finding, at[1]))
        elif owners:
            for sample in owners:
                placed.setdefault(id(sample), []).append(Placed(finding, None))
        else:
            homeless.append(finding)
    return placed, homeless
