"""What a reader made of one picture, as bytes and back: its sample, or none, and its findings."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icr.data.dataset import Finding, Sample

_HEAD = struct.Struct("<qqII?")
"""Width, height, number of boxes, number of lines, whether there is a sample."""


def pack(sample: Sample | None, findings: Sequence[Finding]) -> bytes:
    """Write down what a reader made of a picture; its path is kept by the caller.

    Example:
        >>> none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        >>> made, found = unpack(pack(Sample(Path("a.jpg"), 640, 480, *none), []), Path("a.jpg"))
        >>> made.width, made.label_file, found
        (640, None, [])
    """
    told: dict[str, object] = {}
    if findings:
        told["findings"] = [[each.id, each.severity, each.file, each.line, each.message] for each in findings]
    if sample is None:
        return _HEAD.pack(0, 0, 0, 0, False) + _json(told)
    if sample.label_file is not None:
        told["file"] = str(sample.label_file)
    if sample.attributes:
        told["attributes"] = sample.attributes
    if sample.box_attributes:
        told["box_attributes"] = sample.box_attributes
    arrays = (
        np.ascontiguousarray(sample.boxes, np.float64),
        *(np.ascontiguousarray(each, np.int64) for each in (sample.labels, sample.parents, sample.lines)),
    )
    head = _HEAD.pack(sample.width, sample.height, len(sample.labels), len(sample.lines), True)
    return head + b"".join(each.tobytes() for each in arrays) + _json(told)


def unpack(body: bytes, image: Path) -> tuple[Sample | None, list[Finding]]:
    """Read what `pack` wrote; the arrays of the sample cannot be written to.

    Raises:
        ValueError: it was not written by `pack`.
    """
    try:
        width, height, boxes, lines, there = _HEAD.unpack_from(body)
        end = _HEAD.size + 8 * (6 * boxes + lines)
        told = json.loads(body[end:]) if len(body) > end else {}
        findings = [Finding(*each) for each in told.get("findings", ())]
        if not there:
            return None, findings
        whole = np.frombuffer(body, np.int64, 6 * boxes + lines, _HEAD.size)
        at = 4 * boxes
        file = told.get("file")
        sample = Sample(
            image,
            width,
            height,
            whole[:at].view(np.float64).reshape(boxes, 4),
            whole[at : at + boxes],
            whole[at + boxes : at + 2 * boxes],
            None if file is None else Path(file),
            whole[at + 2 * boxes :],
            told.get("attributes", {}),
            told.get("box_attributes", []),
        )
    except (struct.error, TypeError, AttributeError) as error:
        raise ValueError(f"not a packed sample: {error}") from error
    return sample, findings


def _json(told: dict[str, object]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() if told else b""
