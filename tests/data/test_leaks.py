"""Pictures that stand in a set more than once, and scenes that stand in two splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scene_pictures import save, scenes, view, where

from icr.data.alike import BITS, Prints, alike
from icr.data.check import check
from icr.data.formats import read
from icr.data.leaks import scene
from icr.data.manifest import write_manifest
from icr.data.pictures import Decoded, decode

ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved anew": lambda image: image,
    "half as large": lambda image: image.resize((160, 120)),
    "square": lambda image: image.resize((200, 200)),
    "grey": lambda image: image.convert("L"),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_copy_is_found(how: str, tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b"]})
    copy = ALTERED[how](Image.open(root / "images" / "train" / "a.jpg"))
    save(copy, root / "images" / "test" / "test_sound.jpg", quality=60)
    assert where(check(read(root))) == [("splits.alike", "test_sound.jpg")]
    save(copy, root / "images" / "train" / "b.jpg", quality=61)
    findings = check(read(root))
    assert where(findings) == [("splits.alike", "test_sound.jpg"), ("picture.alike", "b.jpg")]
    assert findings[1].message == f"of train shows the same as {root}/images/train/a.jpg of train"


def test_different_pictures_are_not_alike(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(40)]
    assert check(read(scenes(tmp_path, {"train": names}))) == []


def test_a_car_more_in_an_unmoved_view_is_another_picture(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a"]})
    shown = Image.open(root / "images" / "train" / "a.jpg").convert("RGB")
    shown.paste(Image.new("RGB", (80, 60), (255, 255, 255)), (60, 90))
    save(shown, root / "images" / "val" / "val_sound.jpg")
    assert check(read(root)) == []


def test_blank_pictures_are_like_none(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a"]})
    for split, name, shade in (("train", "a", 0), ("val", "val_sound", 1)):
        save(Image.new("RGB", (320, 240), (shade, shade, shade)), root / "images" / split / f"{name}.jpg")
    assert decode(root / "images" / "train" / "a.jpg").hash == b""
    assert check(read(root)) == []


def test_equal_bytes_across_splits_come_before_those_within(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b"], "test": ["t"]})
    data = (root / "images" / "train" / "a.jpg").read_bytes()
    for name in ("train/b", "test/t"):
        (root / "images" / f"{name}.jpg").write_bytes(data)
    assert where(check(read(root))) == [("splits.shared", "t.jpg"), ("picture.duplicate", "b.jpg")]


def near(pictures: Sequence[Decoded], groups: Any = None) -> list[list[int]]:
    prints = Prints(len(pictures))
    for place, each in enumerate(pictures):
        prints.keep(place, each)
    found: list[list[int]] = alike(prints, lambda places: [pictures[at].thumbnail for at in places], groups).tolist()
    return found


@pytest.mark.parametrize(("turned", "least"), [(1, 100), (15, 100), (BITS, 90), (BITS + 1, 0)])
def test_near_hashes_are_found_whichever_bits_differ(turned: int, least: int) -> None:
    chance = np.random.default_rng(0)
    thumbnail = chance.bytes(256)
    hashes = chance.integers(0, 2, (300, 256), np.uint8)
    hashes[:, 255] = 0
    for place in range(100):  # each of the last hundred is like one of the first, some bits turned
        hashes[200 + place] = hashes[place]
        hashes[200 + place, chance.choice(255, turned, replace=False)] ^= 1
    pictures = [
        Decoded(None, place.to_bytes(16, "big"), np.packbits(bits).tobytes(), thumbnail)
        for place, bits in enumerate(hashes)
    ]
    found = near(pictures)
    assert all(other == one + 200 for one, other in found)
    assert len(found) >= least if least else not found
    assert near(pictures[:200]) == []
    assert near([]) == [] and near(pictures[:1]) == []
    groups = np.array([place % 200 if place < 250 else -1 for place in range(300)])
    apart = near(pictures, groups)  # fifty of the pairs are of one group each
    assert apart == [pair for pair in found if pair[0] >= 50]


@pytest.mark.parametrize(
    ("train", "test", "leaks"),
    [
        (["track0007[01]", "track0007[02]"], ["track0007[03]"], True),
        (["dusk_frame0001"], ["dusk_frame0014"], True),
        (["A4_mp4-12_jpg.rf.0a1b2c"], ["A4_mp4-90_jpg.rf.77f1aa"], True),
        (["video3_000120"], ["video3_000180"], True),
        # another track; names that count photographs, not frames; numbers begun anew in each split
        (["track0007[01]"], ["track0008[02]"], False),
        (["IMG_0001"], ["IMG_0002"], False),
        (["frame_0001"], ["frame_0002"], False),
        (["000001", "000003"], ["000002"], False),
        (["video1_0001", "video1_0002"], ["video1_0001", "video1_0003"], False),
    ],
)
def test_scenes_in_two_splits_by_their_names(train: list[str], test: list[str], leaks: bool, tmp_path: Path) -> None:
    findings = check(read(scenes(tmp_path, {"train": train, "test": test})))
    assert where(findings) == ([("splits.scene", f"{test[0]}.jpg")] if leaks else [])
    if leaks:
        assert f"{len(train)} in train, 1 in test" in findings[0].message


def test_what_the_data_says_of_its_scenes_comes_first(tmp_path: Path) -> None:
    dataset = read(scenes(tmp_path, {"train": ["track1-01", "x"], "test": ["track1-02", "y"]}))
    for split, tracks in (("train", "AB"), ("test", "CB")):
        for sample, track in zip(dataset.splits[split], tracks, strict=True):
            sample.attributes["track"] = track
    assert scene(dataset.splits["train"][0]) == (("A",), None)
    assert where(check(dataset)) == [("splits.scene", "y.jpg")]


@pytest.mark.parametrize("skim", [False, True])
def test_what_the_manifest_says_of_videos_is_heard(skim: bool, tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b"], "test": ["c", "d"]})
    where_from = {"train/a": "one.mp4", "train/b": "two.mp4", "test/c": "one.mp4", "test/d": "three.mp4"}
    write_manifest(root, [(f"images/{name}.jpg", {"video": video}) for name, video in where_from.items()])
    assert where(check(read(root, skim=skim))) == [("splits.scene", "c.jpg")]


def test_frames_of_one_track_may_be_alike(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["track1-01", "track1-02", "z"]})
    for name in ("track1-02", "z"):
        save(view(1), root / "images" / "train" / f"{name}.jpg", quality=70 + len(name))
    assert where(check(read(root))) == [("picture.alike", "z.jpg")]
