"""What a reader made of one picture, as bytes and back: its sample, or none, and its findings."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from icr.data.dataset import Finding, Sample

_HEAD = struct.Struct("<qqIIIB3x")
"""Width, height, number of boxes, number of lines, bytes of the label file's path, what there is (below). Of 32 bytes,
so that the numbers behind it lie at whole multiples of 8."""

_SAMPLE, _FILE = 1, 2


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
        return _HEAD.pack(0, 0, 0, 0, 0, 0) + _json(told)
    if sample.attributes:
        told["attributes"] = sample.attributes
    if sample.box_attributes:
        told["box_attributes"] = sample.box_attributes
    arrays = (
        np.ascontiguousarray(sample.boxes, np.float64),
        *(np.ascontiguousarray(each, np.int64) for each in (sample.labels, sample.parents, sample.lines)),
    )
    file = b"" if sample.label_file is None else os.fsencode(sample.label_file)
    there = _SAMPLE if sample.label_file is None else _SAMPLE | _FILE
    head = _HEAD.pack(sample.width, sample.height, len(sample.labels), len(sample.lines), len(file), there)
    return head + b"".join(each.tobytes() for each in arrays) + file + _json(told)


def unpack(body: bytes, image: Path) -> tuple[Sample | None, list[Finding]]:
    """Read what `pack` wrote; the arrays of the sample cannot be written to.

    Raises:
        ValueError: it was not written by `pack`.
    """
    try:
        width, height, boxes, lines, named, there = _HEAD.unpack_from(body)
        end = _HEAD.size + 8 * (6 * boxes + lines)
        told = _told(body, end + named)
        findings = _findings(told)
        if not there & _SAMPLE:
            return None, findings
        whole = np.frombuffer(body, np.int64, 6 * boxes + lines, _HEAD.size)
        at = 4 * boxes
        sample = Sample(
            image,
            width,
            height,
            whole[:at].view(np.float64).reshape(boxes, 4),
            whole[at : at + boxes],
            whole[at + boxes : at + 2 * boxes],
            Path(os.fsdecode(body[end : end + named])) if there & _FILE else None,
            whole[at + 2 * boxes :],
            told.get("attributes", {}),
            told.get("box_attributes", []),
        )
    except (struct.error, TypeError, AttributeError) as error:
        raise ValueError(f"not a packed sample: {error}") from error
    return sample, findings


def summary(body: bytes) -> tuple[bool, list[Finding]]:
    """Whether there is a sample in what `pack` wrote, and the findings, without unpacking the sample.

    Raises:
        ValueError: it was not written by `pack`.
    """
    try:
        _, _, boxes, lines, named, there = _HEAD.unpack_from(body)
        told = _told(body, _HEAD.size + 8 * (6 * boxes + lines) + named)
        return bool(there & _SAMPLE), _findings(told)
    except (struct.error, TypeError, AttributeError) as error:
        raise ValueError(f"not a packed sample: {error}") from error


def _told(body: bytes, start: int) -> dict[str, Any]:
    if start == len(body):
        return {}
    if start > len(body):
        raise ValueError("not a packed sample: cut off")
    read: dict[str, Any] = json.loads(body[start:])
    return read


def _findings(told: dict[str, Any]) -> list[Finding]:
    return [_finding(*each) for each in told.get("findings", ())]


def _finding(*said: Any) -> Finding:
    few: list[Any] = [intern(each) for each in said[:2]]  # the same words in all, held once
    return Finding(*few, *said[2:])


def _json(told: dict[str, object]) -> bytes:
    # names of files that are no UTF-8 come with halves of characters
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":")) if told else ""
    return text.encode("utf-8", "surrogatepass")
