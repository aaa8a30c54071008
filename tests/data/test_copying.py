"""What the commands that write an altered copy agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from icr.data.copying import images_way, refuse_existing, refuse_filled, target_format
from icr.data.dataset import Dataset
from icr.errors import InputError


def test_the_format_of_a_copy() -> None:
    yolo, crpd = (Dataset(Path("d"), format, ["plate"], {}) for format in ("yolo", "crpd"))
    assert target_format(yolo, None) == ("yolo", "")
    assert target_format(yolo, "coco") == ("coco", "")
    assert target_format(crpd, None) == ("coco", "crpd is only read, so the copy is coco; --to chooses another")
    with pytest.raises(InputError, match=r"--to crpd: expected .*coco"):
        target_format(yolo, "crpd")


def test_images() -> None:
    assert [images_way(way) for way in ("copy", "link", "reference")] == ["copy", "link", "reference"]
    with pytest.raises(InputError, match="--images lnk: expected copy, link, reference; did you mean 'link'"):
        images_way("lnk")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    refuse_filled(tmp_path)
    refuse_filled(tmp_path / "new")
    refuse_existing(tmp_path / "new.csv", "--list")
    (tmp_path / "there").write_text("")
    for out in (tmp_path, tmp_path / "there"):
        with pytest.raises(InputError, match="exists and is n"):
            refuse_filled(out)
    with pytest.raises(InputError, match=r"--list .*there exists already"):
        refuse_existing(tmp_path / "there", "--list")
    with pytest.raises(InputError, match="there is no folder"):
        refuse_existing(tmp_path / "absent" / "x.csv", "--list")
