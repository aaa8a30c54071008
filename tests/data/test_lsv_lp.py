"""LSV-LP: zipped or plain labels, nested or flat folders, chosen scenarios, and files as they should not be."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import HEIGHT, WIDTH, ids, picture

from icr.data import formats
from icr.data.check import check
from icr.data.dataset import Dataset
from icr.data.formats import lsv_lp
from icr.data.formats.lsv_lp_files import LARGEST_LABEL
from icr.data.formats.lsv_lp_files import Frames as Held
from icr.errors import InputError
from icr.relations import Relation

pytestmark = pytest.mark.usefixtures("read_both_ways")

CAR, PLATE = [[0.1, 0.2], [0.7, 0.8]], [[0.3, 0.5], [0.4, 0.5], [0.4, 0.55], [0.3, 0.55]]
FRAME = {"2": {"carBox": CAR, "licPoly": PLATE, "licNumber": "冀R-I7P09"}}

Frames = dict[str, Any]
"""What the JSON of each frame holds, by ``split/scenario/video/frame``; bytes as they stand."""


def content(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def lsv(root: Path, frames: Frames, *, packed: bool = False, nested: bool = False) -> Path:
    """Write pictures and labels; `packed`: a zip for each scenario, `nested`: pictures one folder deeper."""
    for path, value in frames.items():
        split, scenario, video, frame = path.split("/")
        deeper = (scenario,) if nested else ()
        picture(root.joinpath(split, "videos", scenario, *deeper, video, f"{frame}.jpg"))
        jsons = root / split / "jsons"
        jsons.mkdir(exist_ok=True)
        if packed:
            with zipfile.ZipFile(jsons / f"{scenario}.zip", "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("/".join((*deeper, video, f"{frame}.json")), content(value))
        else:
            file = jsons.joinpath(scenario, *deeper, video, f"{frame}.json")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content(value))
    return root


def one(root: Path, value: Any) -> Dataset:
    return formats.read(lsv(root, {"train/move2move/7/frame1": value}))


WHOLE: Frames = {
    "train/move2move/12/frame10": FRAME,
    "train/move2move/12/frame9": {},
    "train/move2move/2/frame1": FRAME,
    "train/static2move/5/frame1": FRAME,
    "validation/move2move/3/frame1": FRAME,
    "test/move2static/4/frame1": FRAME,
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_zipped_or_plain_nested_or_flat(packed: bool, nested: bool, tmp_path: Path) -> None:
    dataset = formats.read(lsv(tmp_path / "LSV LP", WHOLE, packed=packed, nested=nested))
    assert dataset.format == "lsv-lp" and dataset.names == ["plate", "vehicle"]
    assert dataset.relations == (Relation("plate", "vehicle"),)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 4, "val": 1, "test": 1}
    assert [sample.attributes for sample in dataset.splits["train"]] == [
        {"scenario": "move2move", "video": "2", "frame": 1},
        {"scenario": "move2move", "video": "12", "frame": 9},
        {"scenario": "move2move", "video": "12", "frame": 10},
        {"scenario": "static2move", "video": "5", "frame": 1},
    ]
    first, empty = dataset.splits["train"][:2]
    assert len(empty.labels) == 0
    assert first.labels.tolist() == [0, 1] and first.parents.tolist() == [1, -1]
    assert first.boxes[0] == pytest.approx([0.3 * WIDTH, 0.5 * HEIGHT, 0.4 * WIDTH, 0.55 * HEIGHT])
    assert first.boxes[1] == pytest.approx([0.1 * WIDTH, 0.2 * HEIGHT, 0.7 * WIDTH, 0.8 * HEIGHT])
    plate, car = first.box_attributes
    assert plate["text"] == "冀R-I7P09" and plate["track"] == car["track"] == "2"
    assert check(dataset) == []


def test_chosen_scenarios(tmp_path: Path) -> None:
    lsv(tmp_path, WHOLE)
    dataset = formats.read(tmp_path, format="lsv-lp-move2move", splits=["train", "val"])
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 3, "val": 1}
    two = lsv_lp.read(tmp_path, ["train"], scenarios=("static2move", "move2move"))
    assert len(two.splits["train"]) == 4
    with pytest.raises(InputError, match=r"no scenario 'move2mov'; .*did you mean 'move2move'"):
        lsv_lp.read(tmp_path, scenarios=("move2mov",))


def test_a_scenario_that_a_split_lacks_leaves_it_empty_and_told(tmp_path: Path) -> None:
    dataset = formats.read(lsv(tmp_path, WHOLE), format="lsv-lp-move2static")
    assert [len(samples) for samples in dataset.splits.values()] == [0, 0, 1]
    assert ids(dataset.findings) == ["split.empty", "split.empty"]


def test_one_split_folder_alone(tmp_path: Path) -> None:
    lsv(tmp_path, WHOLE)
    assert list(formats.read(tmp_path / "validation").splits) == ["val"]


def test_points_in_any_order_give_the_same_plate(tmp_path: Path) -> None:
    swapped = {"2": {"carBox": CAR[::-1], "licPoly": [PLATE[2], PLATE[0], PLATE[3], PLATE[1]]}}
    one_way, other = one(tmp_path / "a", FRAME), one(tmp_path / "b", swapped)
    assert one_way.splits["train"][0].boxes == pytest.approx(other.splits["train"][0].boxes)
    outlines = [each.splits["train"][0].box_attributes[0]["segmentation"][0] for each in (one_way, other)]
    assert outlines[0] == pytest.approx(outlines[1])


def test_a_plate_that_nobody_could_read(tmp_path: Path) -> None:
    said = one(tmp_path, {"2": {**FRAME["2"], "licNumber": "##-#####"}}).splits["train"][0].box_attributes[0]
    assert said["readable"] is False and "text" not in said


def test_a_car_alone_and_a_plate_alone(tmp_path: Path) -> None:
    sample = one(tmp_path, {"1": {"carBox": CAR}, "x": {"licPoly": PLATE}}).splits["train"][0]
    assert sample.labels.tolist() == [1, 0]
    assert sample.parents.tolist() == [-1, -2], "of a plate without a car of its id nothing is stated"
    assert sample.lines.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("value", "finding", "boxes"),
    [
        ({**FRAME, "3": "car"}, "labels.fields", 2),
        ({**FRAME, "3": {}}, "labels.fields", 2),
        ({**FRAME, "3": {"carBox": [0.1, 0.2, 0.3, 0.4]}}, "labels.fields", 2),
        ({**FRAME, "3": {"carBox": [[0.1, 0.2]]}}, "labels.fields", 2),
        ({**FRAME, "3": {"licPoly": [[0.1, 0.2], [0.3]]}}, "labels.fields", 2),
        ({**FRAME, "3": {"carBox": [[0.1, "0.2"], [0.3, 0.4]]}}, "labels.not_a_number", 2),
        ({**FRAME, "3": {"carBox": [[0.1, True], [0.3, 0.4]]}}, "labels.not_a_number", 2),
        ({**FRAME, "3": {"carBox": [[0.1, float("nan")], [0.3, 0.4]]}}, "labels.not_finite", 2),
        ({**FRAME, "3": {"carBox": [[0.1, 10**400], [0.3, 0.4]]}}, "labels.not_finite", 2),
        ({**FRAME, "3": {"carBox": [[0.1, 0.2], [0.1, 0.4]]}}, "labels.zero_size", 2),
        ({**FRAME, "3": {"licPoly": [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.1, 0.1]]}}, "labels.zero_size", 2),
        ({**FRAME, "3": {"carBox": [[100, 200], [300, 400]]}}, "boxes.outside", 2),  # pixels, not shares
        ({"2": {**FRAME["2"], "carBox": [[1.1, 0.2], [1.5, 0.4]]}}, "pairs.lost", 1),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_read(value: Any, finding: str, boxes: int, tmp_path: Path) -> None:
    dataset = one(tmp_path, value)
    assert finding in ids(dataset.findings)
    assert len(dataset.splits["train"][0].labels) == boxes
    assert all(each.file.endswith("frame1.json") and each.line is None for each in dataset.findings)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("value", "finding", "line"),
    [
        (content(FRAME)[:-20], "labels.structure", 1),
        (b'{\n"2": {"carBox": }\n}', "labels.structure", 2),
        (b"", "labels.structure", 1),
        (b"[]", "labels.structure", None),
        (b"[" * 50_000, "labels.structure", None),
        (b'{"2": ' + b"9" * 5000 + b"}", "labels.structure", None),
        (b'{"2": {"licNumber": "\\ud800"}}', "labels.structure", None),
        (json.dumps(FRAME, ensure_ascii=False).encode("gbk"), "text.encoding", 1),
        (content(FRAME).decode().encode("utf-16"), "text.encoding", 1),
    ],
)
def test_what_is_no_label_file_is_told(
    value: bytes, finding: str, line: int | None, packed: bool, tmp_path: Path
) -> None:
    frames = {"train/move2move/7/frame1": value, "train/move2move/7/frame2": FRAME}
    dataset = formats.read(lsv(tmp_path, frames, packed=packed))
    assert [(each.id, each.line) for each in dataset.findings] == [(finding, line)]
    assert dataset.findings[0].file.endswith("7/frame1.json")
    assert [each.attributes["frame"] for each in dataset.splits["train"]] == [2]


def test_escaped_characters_are_no_fault(tmp_path: Path) -> None:
    dataset = one(tmp_path, json.dumps(FRAME).encode())
    assert dataset.splits["train"][0].box_attributes[0]["text"] == "冀R-I7P09"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert one(tmp_path, b"\xef\xbb\xbf" + content(FRAME)).findings == []


@pytest.mark.parametrize(
    "name", ["../7/frame2.json", "a/../../x/frame2.json", "/etc/frame2.json", "C:\\7\\frame2.json"]
)
def test_zip_members_that_climb_out_are_refused(name: str, tmp_path: Path) -> None:
    lsv(tmp_path, {"train/move2move/7/frame1": FRAME}, packed=True)
    with zipfile.ZipFile(tmp_path / "train/jsons/move2move.zip", "a") as archive:
        archive.writestr(name, content(FRAME))
    dataset = formats.read(tmp_path)
    assert ids(dataset.findings) == ["paths.climbs"]
    assert dataset.findings[0].file.endswith("move2move.zip")
    assert len(dataset.splits["train"]) == 1


def test_a_member_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    frames = {"train/move2move/7/frame1": b'{"a": "' + b" " * (LARGEST_LABEL + 10) + b'"}'}
    dataset = formats.read(lsv(tmp_path, frames, packed=True))
    assert ids(dataset.findings) == ["labels.archive", "split.empty"]
    assert "unpacks to more than" in dataset.findings[0].message


def test_a_broken_zip_and_a_broken_member(tmp_path: Path) -> None:
    frames = {"train/move2move/7/frame1": FRAME, "train/move2move/7/frame2": FRAME}
    archive = lsv(tmp_path / "a", frames, packed=True) / "train/jsons/move2move.zip"
    data = bytearray(archive.read_bytes())
    at = data.index(b"frame1.json") + len("frame1.json")
    data[at : at + 20] = b"\xff" * 20
    archive.write_bytes(data)
    dataset = formats.read(tmp_path / "a")
    assert ids(dataset.findings) == ["labels.archive"] and len(dataset.splits["train"]) == 1
    archive.write_bytes(archive.read_bytes()[:50])
    assert ids(formats.read(tmp_path / "a").findings) == ["labels.archive", "labels.none"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.replace(b"PK\3\4", b"PK\3\5", 1), "its header is not where the zip file says"),
        (lambda data: data.replace(b"I7P09", b"I7P08", 1), "its checksum is another"),
    ],
)
def test_a_member_that_is_not_what_the_zip_lists(change: Callable[[bytes], bytes], said: str, tmp_path: Path) -> None:
    archive = lsv(tmp_path, {"train/move2move/7/frame1": {}}, packed=True) / "train/jsons/move2move.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as stored:
        stored.writestr("7/frame1.json", content(FRAME))
    archive.write_bytes(change(archive.read_bytes()))
    findings = formats.read(tmp_path).findings
    assert ids(findings) == ["labels.archive", "split.empty"] and said in findings[0].message
    assert findings[0].file.endswith("move2move.zip/7/frame1.json")


def test_a_zip_packed_in_another_way_is_told(tmp_path: Path) -> None:
    archive = lsv(tmp_path, {"train/move2move/7/frame1": {}}, packed=True) / "train/jsons/move2move.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as other:
        other.writestr("7/frame1.json", content(FRAME))
    findings = formats.read(tmp_path).findings
    assert "is packed by method 12; expected it stored or deflated" in findings[0].message


def test_frames_are_held_in_a_few_bytes_each(tmp_path: Path) -> None:
    """Of 400,000 frames neither paths nor a zip's list stay in memory while they are read, here or elsewhere."""
    held = Held()
    tracemalloc.start()
    for video in range(40):
        held.add(str(video), (f"{tmp_path}/train/videos/move2move/{video}/frame{number}.jpg" for number in range(500)))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(held) == 20_000 and taken < 25 * len(held)
    assert held.of("39", [])["frame499"] == f"{tmp_path}/train/videos/move2move/39/frame499.jpg"


def test_missing_pictures_and_labels(tmp_path: Path) -> None:
    lsv(tmp_path, {f"train/move2move/7/frame{number}": FRAME for number in (1, 2, 3)})
    (tmp_path / "train/videos/move2move/7/frame1.jpg").unlink()
    (tmp_path / "train/jsons/move2move/7/frame2.json").unlink()
    (tmp_path / "train/videos/move2move/7/frame3.jpg").write_bytes(b"no picture")
    assert sorted((each.id, Path(each.file).name) for each in formats.read(tmp_path).findings) == [
        ("labels.missing", "frame2.jpg"),
        ("labels.no_picture", "frame1.json"),
        ("picture.unreadable", "frame3.jpg"),
    ]


def test_labels_alone_and_pictures_alone_are_said_once(tmp_path: Path) -> None:
    frames = {f"train/move2move/7/frame{number}": FRAME for number in range(4)}
    root = lsv(tmp_path, frames)
    (root / "train/videos/move2move").rename(root / "train/videos/elsewhere")
    findings = formats.read(root, format="lsv-lp-move2move").findings
    assert ids(findings) == ["labels.no_picture", "split.empty"]
    assert "none of the 4 frames of move2move has its picture" in findings[0].message
    (root / "train/videos/move2move.zip").write_bytes(b"")
    assert "unpack move2move.zip" in formats.read(root, format="lsv-lp-move2move").findings[0].message
    findings = lsv_lp.read(root, scenarios=("elsewhere",)).findings
    assert ids(findings) == ["labels.none"]


def test_a_frame_told_of_twice(tmp_path: Path) -> None:
    lsv(tmp_path, {"train/move2move/7/frame1": FRAME})
    lsv(tmp_path, {"train/move2move/7/frame1": {}}, nested=True)
    dataset = formats.read(tmp_path)
    assert ids(dataset.findings) == ["labels.twice", "labels.twice"]
    assert len(dataset.splits["train"]) == 1


def test_forced_on_another_folder_it_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected folders such as train/jsons"):
        formats.read(tmp_path, format="lsv-lp")
