"""CVAT for images 1.1: files as CVAT exports them, and round trips with their pairs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from annotated_sets import annotated_datasets, assert_same_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from small_sets import coco_set, ids, picture

from icr.cli.commands import run
from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.formats import read, write
from icr.data.proposals import propose
from icr.errors import InputError
from icr.predictions import Predictions
from icr.relations import Relation, ResolvedRelation

META = """
  <meta>
    <task>
      <id>4</id><name>plates &amp; cars</name><size>2</size><mode>annotation</mode><overlap>0</overlap>
      <bugtracker></bugtracker><created>2026-01-06 11:24:12.310425+00:00</created>
      <subset>Train</subset><start_frame>0</start_frame><stop_frame>1</stop_frame><frame_filter></frame_filter>
      <labels>
        <label><name>车牌</name><color>#c06060</color><type>any</type><attributes>
          <attribute><name>text</name><mutable>False</mutable><input_type>text</input_type>
            <default_value></default_value><values></values></attribute>
          <attribute><name>readable</name><mutable>False</mutable><input_type>checkbox</input_type>
            <default_value>false</default_value><values>false</values></attribute>
          <attribute><name>rows</name><mutable>False</mutable><input_type>number</input_type>
            <default_value>1</default_value><values>1;2;1</values></attribute>
        </attributes></label>
        <label><name>car</name><color>#2080c0</color><type>any</type><attributes></attributes></label>
        <label><name>bus</name><color>#2080c0</color><type>any</type><attributes></attributes></label>
        <label><name>night</name><color>#202020</color><type>tag</type><attributes></attributes></label>
      </labels>
      <segments><segment><id>1</id><start>0</start><stop>1</stop><url>http://localhost/?id=1</url></segment></segments>
      <owner><username>admin</username><email></email></owner><assignee></assignee>
    </task>
    <dumped>2026-01-07 10:00:00.000000+00:00</dumped>
  </meta>"""

CAR = (
    '<box label="car" source="manual" occluded="1" xtl="20.00" ytl="20.00" xbr="80.00" ybr="60.00" z_order="0"{}></box>'
)
BUS = (
    '<box label="bus" source="manual" occluded="0" xtl="10.00" ytl="10.00" xbr="90.00" ybr="70.00" z_order="0"{}></box>'
)
PLATE = """<box label="车牌" source="auto" occluded="0" xtl="45.25" ytl="50.50" xbr="55.75" ybr="54.00" z_order="0"{}>
      <attribute name="text">京A·12345</attribute>
      <attribute name="readable">true</attribute>
      <attribute name="rows">2</attribute>
    </box>"""


def xml(*shapes: str, meta: str = META, image: str = 'id="0" name="a.png" width="100" height="80"') -> str:
    """An export of one picture."""
    inner = "\n    ".join(shapes)
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>'
    return f"{head}{meta}\n  <image {image}>\n    {inner}\n  </image>\n</annotations>\n"


def export(root: Path, text: str | bytes, *pictures: str) -> Path:
    """An export unpacked: annotations.xml beside images/."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    for name in pictures or ("a.png",):
        picture(root / "images" / name)
    return root


NOTES = json.dumps(
    {
        "names": ["车牌", "car", "bus"],
        "relations": [{"child": "车牌", "parent": ["car", "bus"]}],
        "pairs": [],
        "category_ids": [],
        "pictures": {},
        "attributes": {},
        "numeric": [],
    }
)


def group(number: int) -> str:
    return f' group_id="{number}"'


def test_an_export_with_a_group(tmp_path: Path) -> None:
    shapes = [CAR.format(group(7)), BUS.format(""), PLATE.format(group(7)), '<tag label="night" source="manual"></tag>']
    dataset = read(export(tmp_path, xml(*shapes)))
    assert dataset.format == "cvat" and dataset.findings == []
    assert dataset.names == ["车牌", "car", "bus", "night"]
    assert dataset.relations == (Relation("车牌", "car"),), "found from the group: no notes lie beside the file"
    (sample,) = dataset.splits["train"]
    assert sample.boxes.tolist() == [[20, 20, 80, 60], [10, 10, 90, 70], [45.25, 50.5, 55.75, 54]]
    assert sample.labels.tolist() == [1, 2, 0]
    assert sample.parents.tolist() == [NO_PARENT, NO_PARENT, 0]
    assert sample.attributes == {"tags": ["night"]}
    assert sample.box_attributes == [
        {"occluded": True},
        {},
        {"text": "京A·12345", "readable": True, "rows": 2, "source": "auto"},
    ]
    assert sample.lines.tolist()[0] == xml(*shapes).split('<box label="car"')[0].count("\n") + 1


def test_who_is_whose_in_a_group(tmp_path: Path) -> None:
    # A group of its own says that there is no parent; of two possible parents the one that holds more is taken.
    alone, nearer = PLATE.format(group(1)), PLATE.format(group(2))
    beside = CAR.format(group(2)).replace('xtl="20.00"', 'xtl="50.00"')
    shapes = [
        alone,
        nearer,
        beside,
        BUS.format(group(2)),
        PLATE.format(""),
        PLATE.format(group(3)),
        CAR.format(group(3)),
    ]
    root = export(tmp_path, xml(*shapes))
    (root / "icr.json").write_text(NOTES)
    dataset = read(root)
    assert dataset.relations == (Relation("车牌", ("car", "bus")),)
    assert dataset.splits["train"][0].parents.tolist() == [NO_PARENT, 3, -1, -1, UNSTATED, 6, -1]
    inside_both = [PLATE.format(group(1)), CAR.format(group(1)), BUS.format(group(1)), CAR.format(""), CAR.format("")]
    root = export(tmp_path / "b", xml(*inside_both))
    (root / "icr.json").write_text(NOTES)
    dataset = read(root)
    assert dataset.splits["train"][0].parents.tolist()[0] == 1, "the smaller"
    assert ids(dataset.findings) == ["pairs.ambiguous"]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (CAR.format(' rotation="11.00"'), "labels.rotated"),
        (CAR.format(' rotation="x"'), "labels.rotated"),
        ('<points label="car" points="1,2;3,4" source="manual"></points>', "labels.shape"),
        ('<mask label="car" rle="3, 5" left="1" top="2" width="4" height="2"></mask>', "labels.shape"),
        ('<ellipse label="car" cx="5" cy="5" rx="2" ry="2"></ellipse>', "labels.shape"),
        ('<skeleton label="car"><points label="1" points="1,2"></points></skeleton>', "labels.shape"),
        (CAR.format("").replace('xtl="20.00"', 'xtl="nan"'), "labels.not_a_number"),
        (CAR.format("").replace('xtl="20.00"', 'xtl=""'), "labels.not_a_number"),
        (CAR.format("").replace('xtl="20.00" ', ""), "labels.fields"),
        (CAR.format("").replace('label="car"', ""), "labels.fields"),
        (CAR.format("").replace('label="car"', 'label="tram"'), "labels.class"),
        (CAR.format("").replace('xbr="80.00"', 'xbr="20.00"'), "labels.zero_size"),
        (CAR.format("").replace('xtl="20.00"', 'xtl="200"').replace("80.00", "290"), "boxes.outside"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_named(tmp_path: Path, shape: str, kind: str) -> None:
    dataset = read(export(tmp_path, xml(PLATE.format(""), shape)))
    assert dataset.splits["train"][0].labels.tolist() == [0]
    assert ids(dataset.findings) == [kind]
    assert dataset.findings[0].line == xml(PLATE.format(""), shape).split(shape)[0].count("\n") + 1
    assert dataset.findings[0].severity == "error"


def test_outlines_and_swapped_corners_are_used(tmp_path: Path) -> None:
    swapped = CAR.format("").replace('xtl="20.00"', 'xtl="85.00"')
    outline = (
        '<polygon label="bus" occluded="0" source="manual" points="10.00,20.00;30.00,20.00;20.00,40.00"></polygon>'
    )
    dataset = read(export(tmp_path, xml(swapped, outline, CAR.format(' rotation="360.00"'))))
    assert dataset.splits["train"][0].boxes.tolist() == [[80, 20, 85, 60], [10, 20, 30, 40], [20, 20, 80, 60]]
    assert ids(dataset.findings) == ["labels.corners_swapped", "labels.polygon"]


def test_a_number_of_thousands_of_digits_is_no_number(tmp_path: Path) -> None:
    """Python refuses to make one, for the time that it would take."""
    endless = "9" * 5000
    text = xml(CAR.format(f' group_id="{endless}"'), image=f'id="0" name="a.png" width="{endless}" height="80"')
    dataset = read(export(tmp_path, text))
    assert len(dataset.splits["train"][0].labels) == 1 and dataset.findings == []


def test_a_child_whose_parent_is_left_out_has_none(tmp_path: Path) -> None:
    groups = [PLATE.format(group(1)), CAR.format(group(1)), PLATE.format(group(2))]
    dataset = read(export(tmp_path, xml(*groups, CAR.format(group(2) + ' rotation="9"'))))
    assert dataset.splits["train"][0].parents.tolist() == [1, NO_PARENT, NO_PARENT]


def test_a_project_with_subsets(tmp_path: Path) -> None:
    text = xml(CAR.format(""), image='id="0" name="a.png" subset="Validation" task_id="3" width="100" height="80"')
    one_more = '<image id="1" name="b 1.png" subset="default" width="100" height="80"></image>'
    missing = '<image id="2" name="../../c.png" subset="default" width="100" height="80"></image>\n</annotations>'
    text = text.replace("<task>", "<project>").replace("</task>", "</project>")
    text = text.replace("</annotations>", f"{one_more}\n{missing}")
    root = export(tmp_path, text, "Validation/a.png", "default/b 1.png")
    picture(tmp_path.parent / "c.png")
    dataset = read(root / "annotations.xml")
    assert {split: [s.image.name for s in own] for split, own in dataset.splits.items()} == {
        "train": ["b 1.png"],
        "val": ["a.png"],
    }
    assert ids(dataset.findings) == ["labels.empty", "picture.missing"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>', "declares a DOCTYPE in line 1"),
        ("<annotations><image></annotations>", "mismatched tag"),
        ("<annotations><version>1.1</version></annotations>", "found no label and no box"),
        (xml(CAR.format("")).replace("image", "track"), "export it as CVAT for images 1.1"),
        ("<annotations>" + "<a>" * 100 + "</a>" * 100 + "</annotations>", "more than 64 deep"),
        (xml(CAR.format("")).encode()[:-100] + b"\xff", "is not in encoding utf-8"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(export(tmp_path, text))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("notes", ["[]", "{}", '{"names": 3}', "{", '{"names": ["a"], "pictures": []}'])
def test_spoiled_notes_are_refused_in_one_line(tmp_path: Path, notes: str) -> None:
    root = export(tmp_path, xml(CAR.format("")))
    (root / "icr.json").write_text(notes)
    with pytest.raises(InputError, match=r"icr\.json: not as icr data convert wrote it"):
        read(root)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for split in ("train", "val", "test"):
        picture(root / split / "a.png", (64, 48))
        picture(root / split / "b 二.png", (37, 91))
    return root


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trips_lose_nothing(data: st.DataObject, pictures: Path, tmp_path: Path) -> None:
    dataset = data.draw(annotated_datasets(pictures))
    out = tmp_path / "out"
    assert write(dataset, out, "cvat", images="link") == ()
    assert_same_set(dataset, read(out))
    shutil.rmtree(out)


def test_what_is_written_is_what_cvat_reads(tmp_path: Path) -> None:
    root = export(tmp_path / "a", xml(CAR.format(group(7)), PLATE.format(group(7)), PLATE.format(group(8))))
    write(read(root), tmp_path / "b", "cvat")
    text = (tmp_path / "b" / "annotations.xml").read_text(encoding="utf-8")
    assert '<image id="0" name="train/a.png" width="100" height="80">' in text
    assert 'xtl="20.0" ytl="20.0" xbr="80.0" ybr="60.0" z_order="0" group_id="1">' in text
    assert text.count('group_id="1"') == 2 and text.count('group_id="2"') == 1
    labels = json.loads((tmp_path / "b" / "labels.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in labels] == ["车牌", "car", "bus", "night"]
    assert {each["name"]: each["input_type"] for each in labels[0]["attributes"]} == {
        "text": "text",
        "readable": "checkbox",
        "rows": "text",
    }
    assert (tmp_path / "b/images/train/a.png").read_bytes() == (root / "images/a.png").read_bytes()


def test_what_the_server_makes_of_an_upload(tmp_path: Path) -> None:
    """It calls every uploaded box's source "file", adds attributes left out with their defaults, and rounds."""
    marked = PLATE.format(group(7)).replace('source="auto"', 'source="manual"')
    root = export(tmp_path / "a", xml(CAR.format(group(7)), marked, BUS.format("")))
    dataset = read(root)
    write(dataset, tmp_path / "b", "cvat")
    file = tmp_path / "b" / "annotations.xml"
    text = file.read_text(encoding="utf-8").replace('source="manual"', 'source="file"')
    empty = '<attribute name="text"></attribute><attribute name="colour"></attribute></box>'
    file.write_text(text.replace("</box>", empty).replace('"45.25"', '"45.2"'), encoding="utf-8")
    before, after = dataset.splits["train"][0], read(tmp_path / "b").splits["train"][0]
    np.testing.assert_allclose(after.boxes, before.boxes, atol=0.0501)
    assert after.parents.tolist() == before.parents.tolist() == [NO_PARENT, 0, NO_PARENT]
    assert after.box_attributes == before.box_attributes


def test_no_two_pictures_differ_in_their_ending_alone(tmp_path: Path) -> None:
    """CVAT looks for the picture of uploaded boxes by its name without the ending."""
    alike = Dataset(tmp_path, "yolo", ["car"], {"train": []})
    for name in ("a.png", "a.jpg"):
        none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        alike.splits["train"].append(Sample(picture(tmp_path / "train" / name), 100, 80, *none))
    assert write(alike, tmp_path / "out", "cvat") == ()
    text = (tmp_path / "out" / "annotations.xml").read_text(encoding="utf-8")
    assert 'name="train/a.png"' in text and 'name="train/a-2.jpg"' in text


def test_people_pair_anew_in_the_tool(tmp_path: Path) -> None:
    """A pair is made, one is undone, coordinates come back with two decimals, and other labels keep their place."""
    coco_set(tmp_path / "set")
    assert run(["data", "convert", str(tmp_path / "set"), "--to", "cvat", "--out", str(tmp_path / "cvat")]) == 0
    file = tmp_path / "cvat" / "annotations.xml"
    text = file.read_text()
    assert text.count('group_id="1"') == 2
    file.write_text(text.replace(' group_id="1"', "", 1).replace(' group_id="1"', ' group_id="12"'))
    words = ["data", "convert", str(tmp_path / "cvat"), "--to", "coco", "--out", str(tmp_path / "back")]
    assert run([*words, "--relation", "plate:car"]) == 0
    annotations = json.loads((tmp_path / "back" / "train.json").read_text())["annotations"]
    assert "parent_id" not in annotations[0], "taken out of its group, the plate is left to geometry"
    assert annotations[1]["parent_id"] is None


def test_lists_cannot_be_held_and_that_is_said(tmp_path: Path) -> None:
    outline = '<polygon label="bus" points="10.00,20.00;30.00,20.00;20.00,40.00"></polygon>'
    lost = write(read(export(tmp_path / "a", xml(outline))), tmp_path / "b", "cvat")
    assert lost == ("attributes of boxes that are lists, mappings or empty: segmentation",)
    with pytest.raises(InputError, match="use copy or link"):
        write(read(tmp_path / "a"), tmp_path / "c", "cvat", images="reference")


class RedAndBlue:
    """Finds the frame of all blue (a vehicle), of all red (a plate), and a tree everywhere."""

    def __init__(self) -> None:
        self.names = ["tree", "vehicle", "plate"]

    def predict(
        self, images: Sequence[Path | npt.NDArray[np.uint8]], *, conf: float = 0.001, **settings: Any
    ) -> Iterator[Predictions]:
        for image in images:
            pixels = np.asarray(Image.open(image)).astype(int)  # type: ignore[arg-type]
            boxes = [[0, 0, 9, 9]]
            for seen in (pixels[..., 2] - pixels[..., 0] > 90, pixels[..., 0] - pixels[..., 2] > 90):
                y, x = np.nonzero(seen)
                boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
            yield Predictions(np.array(boxes, float), np.array([0.9, 0.8, 0.75]), np.array([0, 1, 2], np.int64))


@pytest.mark.parametrize("format", ["cvat", "labelstudio"])
def test_proposals_of_a_detector(tmp_path: Path, format: str) -> None:
    scene = Image.new("RGB", (100, 80), (90, 90, 90))
    scene.paste((20, 20, 230), (20, 20, 80, 60))
    scene.paste((230, 20, 20), (45, 50, 55, 54))
    for name in ("new", "known"):
        scene.save(tmp_path / f"{name}.png")
    none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
    known = Sample(tmp_path / "known.png", 100, 80, np.array([[1.0, 1, 9, 9]]), np.array([0]), np.array([UNSTATED]))
    samples = {"train": [Sample(tmp_path / "new.png", 100, 80, *none), known]}
    dataset = Dataset(tmp_path, "yolo", ["plate", "vehicle"], samples, (Relation("plate", "vehicle"),))
    proposed = propose(dataset, RedAndBlue(), [ResolvedRelation(0, (1,))])
    assert vars(proposed) == {"pictures": 1, "boxes": 2, "pairs": 1, "ignored": ("tree",)}
    assert dataset.splits["train"][1] is known
    write(dataset, tmp_path / "out", format)
    if format == "cvat":
        back = read(tmp_path / "out")
        new = back.splits["train"][0]
        assert new.boxes.tolist() == [[20, 20, 80, 60], [45, 50, 55, 54]] and new.parents.tolist() == [-1, 0]
        assert new.box_attributes == [{"source": "auto", "score": 0.8}, {"source": "auto", "score": 0.75}]
        assert back.splits["train"][1].box_attributes in ([], [{}])
    else:
        tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
        assert [sorted(task) for task in tasks] == [["data", "predictions"], ["annotations", "data"]]
        (prediction,) = tasks[0]["predictions"]
        assert prediction["score"] == pytest.approx(0.775)
        assert [each["type"] for each in prediction["result"]] == ["rectanglelabels", "rectanglelabels", "relation"]
        dataset = read(tmp_path / "out")
        assert [sample.image.name for sample in dataset.splits["train"]] == ["known.png"]
        assert ids(dataset.findings) == ["labels.unfinished"]


def test_a_detector_of_other_classes_is_refused(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path, "yolo", ["helmet", "rider"], {"train": []})
    with pytest.raises(InputError, match="no class in common"):
        propose(dataset, RedAndBlue(), [])


def test_proposals_are_for_tools_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "convert", str(coco_set(tmp_path)), "--to", "yolo", "--out", str(tmp_path / "out")]
    assert run([*words, "--weights", "best.pt"]) == 2
    assert "use cvat or labelstudio" in capsys.readouterr().err
