"""The published sets turned into YOLO and COCO: nothing but what is said to be lost is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import same_boxes
from test_crpd import ROW, crpd
from test_lsv_lp import FRAME, lsv
from test_ufpr_alpr import NEW, OLD, ufpr
from test_voc import CARPLATE, bndbox, thing, voc, xml

from icr.data import formats, parsing
from icr.data.formats.registry import recognised

pytestmark = pytest.mark.usefixtures("read_both_ways")


def make_ufpr(root: Path) -> Path:
    tracks = {"training/track0001/track0001[01]": NEW, "testing/track0091/track0091[01]": OLD}
    return ufpr(root / "UFPR-ALPR dataset", tracks)


def make_crpd(root: Path) -> Path:
    return crpd(root / "CRPD", {"CRPD_single/train/1": ROW, "CRPD_multi/train/1": f"{ROW}\n{ROW.replace('10', '40')}"})


def make_lsv_lp(root: Path) -> Path:
    frames = {f"train/move2move/{video}/frame1": FRAME for video in (1, 2)}
    return lsv(root / "LSV-LP", frames, packed=True)


def make_voc(root: Path) -> Path:
    return voc(root / "VOC 2007", {"a": xml(thing("汽车", bndbox(10, 20, 70, 60), CARPLATE))})


SETS = {"ufpr-alpr": make_ufpr, "crpd": make_crpd, "lsv-lp": make_lsv_lp, "voc": make_voc}


@pytest.mark.parametrize("format", SETS)
def test_each_is_recognised_as_itself_alone(format: str, tmp_path: Path) -> None:
    root = SETS[format](tmp_path)
    assert [each.name for each in recognised(root)] == [format]
    if format != "crpd":  # its subsets are known by their folders' names
        assert [each.name for each in recognised(tmp_path)] == [format]


@pytest.mark.parametrize("to", ["yolo", "coco"])
@pytest.mark.parametrize("format", SETS)
def test_round_trip(format: str, to: str, tmp_path: Path) -> None:
    made: Callable[[Path], Path] = SETS[format]
    before = formats.read(made(tmp_path))
    assert before.findings == []
    lost = formats.write(before, tmp_path / "written", to)
    after = formats.read(tmp_path / "written")
    assert after.findings == []
    assert after.names == before.names and after.relations == before.relations
    assert after.splits.keys() == before.splits.keys()
    for split, samples in before.splits.items():
        for one, other in zip(samples, after.splits[split], strict=True):
            same_boxes(one, other)
            if to == "coco":
                assert other.box_attributes == [
                    {"area": pytest.approx(float(size)), "iscrowd": 0, **said}
                    for size, said in zip(
                        (one.boxes[:, 2:] - one.boxes[:, :2]).prod(1), one.box_attributes, strict=True
                    )
                ]
                assert {**one.attributes, "image_id": other.attributes["image_id"]} == other.attributes
    assert bool(lost) == (to == "yolo")


@pytest.mark.parametrize("format", SETS)
def test_reading_twice_gives_the_same(format: str, tmp_path: Path) -> None:
    root = SETS[format](tmp_path)
    one, other = formats.read(root), formats.read(root, format=format)
    for split, samples in one.splits.items():
        assert [each.image for each in samples] == [each.image for each in other.splits[split]]
        for left, right in zip(samples, other.splits[split], strict=True):
            same_boxes(left, right)


def written(to: str, root: Path) -> Path:
    formats.write(formats.read(make_ufpr(root / "stock")), root / "made", to)
    return root / "made"


EVERY = {**SETS, **{to: partial(written, to) for to in formats.names(writable=True)}}


@pytest.mark.parametrize("format", EVERY)
def test_paths_are_whole_wherever_it_is_read_from(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = EVERY[format](tmp_path)
    whole = formats.read(root)
    monkeypatch.chdir(tmp_path)
    relative = formats.read(root.relative_to(tmp_path))
    assert whole.format == format
    for split, samples in whole.splits.items():
        assert [each.image for each in relative.splits[split]] == [each.image for each in samples]
        assert [each.label_file for each in relative.splits[split]] == [each.label_file for each in samples]
        assert all(each.image.is_absolute() for each in samples)


@pytest.mark.parametrize("format", SETS)
def test_each_can_be_skimmed_in_other_processes(
    format: str,
    tmp_path: Path,
    read_both_ways: list[str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parsing, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(parsing, "_PART", 1)
    formats.read(SETS[format](tmp_path))
    assert read_both_ways == [format]


def test_attributes_never_take_the_place_of_what_coco_needs(tmp_path: Path) -> None:
    taken = "".join(f"<{key}>7</{key}>" for key in ("id", "bbox", "parent_id", "iscrowd", "category_id", "area"))
    objects = thing("car", bndbox(10, 20, 70, 60), taken) + thing("car", bndbox(1, 2, 9, 9), taken)
    before = formats.read(voc(tmp_path / "voc", {"a": xml(f"<file_name>b.jpg</file_name><id>7</id>{objects}")}))
    formats.write(before, tmp_path / "coco", "coco")
    after = formats.read(tmp_path / "coco")
    assert after.findings == []
    same_boxes(before.splits["train"][0], after.splits["train"][0])
    assert after.splits["train"][0].box_attributes[0]["id_"] == "7"
    assert after.splits["train"][0].attributes["file_name_"] == "b.jpg"
