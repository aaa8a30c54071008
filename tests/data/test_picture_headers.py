"""Sizes of pictures as EXIF says that they are shown, and the likeness of a picture however it is stored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from scene_pictures import save, view
from small_sets import coco_content, coco_set

from icr.data.formats import read
from icr.data.pictures import Header, decode, header
from icr.data.video.hashing import distances


def stored(file: Path, orientation: int, size: tuple[int, int] = (320, 240)) -> Path:
    """A JPEG with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(view(0, size), file, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, tmp_path: Path) -> None:
    file = stored(tmp_path / "a.jpg", orientation)
    expected = Header(240, 320, True) if orientation > 4 else Header(320, 240, orientation > 1)
    assert header(file) == expected
    upright = save(ImageOps.exif_transpose(Image.open(file)), tmp_path / "upright.jpg")
    assert header(upright) == Header(expected.width, expected.height, False)
    hashes = [np.frombuffer(decode(each).hash, np.uint8) for each in (file, upright)]
    assert distances(hashes[0], hashes[1][None])[0] < 0.02


@pytest.mark.parametrize(
    ("orientation", "said", "message"),
    [
        (6, (320, 240), "is 240 x 320 (EXIF turns it: it is stored the other way round), but the labels say 320 x 240"),
        (6, (100, 100), "is 240 x 320, but the labels say 100 x 100"),
        (3, (100, 100), "is 320 x 240, but the labels say 100 x 100"),
    ],
)
def test_sizes_in_labels_against_the_picture(
    orientation: int, said: tuple[int, int], message: str, tmp_path: Path
) -> None:
    content = coco_content(images=[{"id": 7, "file_name": "b.jpg", "width": said[0], "height": said[1]}])
    source = coco_set(tmp_path, json.dumps(content))
    stored(tmp_path / "images" / "b.jpg", orientation)
    assert [each.message for each in read(source).findings if each.id == "picture.size_mismatch"] == [message]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK", "F"])
def test_every_mode_is_looked_at(mode: str, tmp_path: Path) -> None:
    image = view(0).convert("L") if mode == "I;16" else view(0).convert(mode)
    file = tmp_path / ("a.tif" if mode in ("CMYK", "F") else "a.png")
    save(image.convert("I;16") if mode == "I;16" else image, file)
    outcome = decode(file)
    assert outcome.failure is None
    assert (len(outcome.hash), len(outcome.thumbnail)) in ((32, 256), (0, 0))
