"""What the commands that write an altered copy agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from icr.data.copying import images_way, target_format
from icr.data.dataset import Dataset
from icr.errors import InputError


def test_the_format_of_a_copy() -> None:
    yolo, crpd = (Dataset(Path("d"), format, ["plate"], {}) for format in ("yolo", "crpd"))
    assert target_format(yolo, None) == ("yolo", "")
    assert target_format(yolo, "coco") == ("coco", "")
    assert target_format(crpd, None) == ("coco", "crpd is only read, so the copy is coco")
    with pytest.raises(InputError, match=r"--to crpd: expected .*coco"):
        target_format(yolo, "crpd")


def test_images() -> None:
    assert [images_way(way) for way in ("copy", "link", "reference")] == ["copy", "link", "reference"]
    with pytest.raises(InputError, match="--images lnk: expected copy, link, reference; did you mean 'link'"):
        images_way("lnk")
