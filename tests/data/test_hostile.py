"""Data as bad as it comes: each fault has its finding, or one line of error; nothing has a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import CAR, PLATE, YAML, annotation, coco_content, coco_set, picture, yolo_set

from icr.cli.commands import run
from icr.data.check import check as check_set
from icr.data.convert import prepare_yolo
from icr.data.dataset import UNSTATED
from icr.data.formats import read, write
from icr.errors import InputError

Build = Callable[[Path], object]


def rows(*lines: str | bytes) -> Build:
    """A YOLO set with one more train picture, `bad`, with these rows."""
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n"
    return lambda root: yolo_set(root, {"a": [PLATE, CAR], "bad": content})


def after(change: Callable[[Path], object]) -> Build:
    """A sound YOLO set, changed."""
    return lambda root: change(yolo_set(root))


def listed(entry: str) -> Build:
    """A YOLO set whose train list has one more entry."""

    def build(root: Path) -> None:
        yolo_set(root, yaml=YAML.replace("train: images/train", "train: train.txt"))
        (root / "train.txt").write_text(f"images/train/a.png\n{entry}\n")

    return build


def truncated(root: Path) -> None:
    yolo_set(root, suffix=".jpg")
    file = root / "images" / "train" / "a.jpg"
    Image.effect_noise((200, 200), 90).convert("RGB").save(file)
    file.write_bytes(file.read_bytes()[:-2000])


def loop(root: Path) -> None:
    (root / "images/train/self.png").symlink_to("self.png")


def dangling(root: Path) -> None:
    (root / "images/train/gone.png").symlink_to("nowhere.png")


def folder_as_label(root: Path) -> None:
    (root / "labels/train/a.txt").unlink()
    (root / "labels/train/a.txt").mkdir()


def same_picture(root: Path) -> None:
    (root / "images/val/w.png").write_bytes((root / "images/train/a.png").read_bytes())


FINDINGS: dict[str, tuple[Build, str, int | None]] = {
    "NaN": (rows(PLATE, "0 nan 0.5 0.1 0.1"), "labels.not_finite", 2),
    "1e999": (rows("0 0.5 0.5 1e999 0.1"), "labels.not_finite", 1),
    "too large in pixels": (rows("0 0.5 0.5 1e308 0.1"), "labels.not_finite", 1),
    "empty": (after(lambda root: (root / "labels/train/a.txt").write_text("")), "labels.empty", None),
    "blank lines": (rows("", "  "), "labels.empty", None),
    "no label file": (after(lambda root: picture(root / "images/train/b.png")), "labels.missing", None),
    "no label file at all": (after(lambda root: (root / "labels/train/a.txt").unlink()), "labels.none", None),
    "BOM": (rows(b"\xef\xbb\xbf" + PLATE.encode()), "text.bom", 1),
    "CRLF": (rows(f"{PLATE}\r", f"{CAR}\r"), "text.crlf", None),
    "UTF-16": (rows(PLATE.encode("utf-16")), "text.encoding", None),
    "Latin-1": (rows(PLATE, b"0 0.5 0.5 0.1 0.1 \xe9"), "text.encoding", 2),
    "binary": (rows(bytes(range(256))), "text.encoding", None),
    "a zero byte": (rows(PLATE, f"{CAR}\0", PLATE), "text.zero_byte", 2),
    "negative size": (rows("0 0.5 0.5 -0.1 0.1"), "labels.negative_size", 1),
    "negative centre": (rows("0 -0.5 0.5 0.1 0.1"), "boxes.outside", 1),
    "zero size": (rows("0 0.5 0.5 0 0.1"), "labels.zero_size", 1),
    "class out of range": (rows("2 0.5 0.5 0.1 0.1"), "labels.class", 1),
    "negative class": (rows("-1 0.5 0.5 0.1 0.1"), "labels.class", 1),
    "half a class": (rows("0.5 0.5 0.5 0.1 0.1"), "labels.class", 1),
    "huge class": (rows("1e300 0.5 0.5 0.1 0.1"), "labels.class", 1),
    "four fields": (rows("0 0.5 0.5 0.1"), "labels.fields", 1),
    "six fields": (rows("0 0.5 0.5 0.1 0.1 0.9"), "labels.fields", 1),
    "commas": (rows("0,0.5,0.5,0.1,0.1"), "labels.fields", 1),
    "words": (rows("plate 0.5 0.5 0.1 0.1"), "labels.not_a_number", 1),
    "pixels": (rows("0 320 240 50 20"), "boxes.outside", 1),
    "sticking out": (rows("0 0.98 0.5 0.1 0.1"), "boxes.partly_outside", 1),
    "under a pixel": (rows("0 0.5 0.5 0.005 0.1"), "boxes.tiny", 1),
    "duplicate rows": (rows(PLATE, CAR, PLATE), "labels.duplicate", 3),
    "outline": (rows("1 0.1 0.1 0.9 0.1 0.9 0.9"), "labels.polygon", 1),
    "label without picture": (after(lambda r: (r / "labels/train/x.txt").write_text(PLATE)), "labels.no_picture", None),
    "folder as label": (after(folder_as_label), "text.unreadable", None),
    "missing picture": (listed("images/train/gone.png"), "picture.missing", None),
    "dangling link": (after(dangling), "picture.missing", None),
    "link to itself": (after(loop), "picture.unreadable", None),
    "empty picture": (after(lambda root: (root / "images/train/a.png").write_bytes(b"")), "picture.unreadable", None),
    "text as picture": (after(lambda r: (r / "images/train/a.png").write_text("hello")), "picture.unreadable", None),
    "half a PNG header": (
        after(lambda r: (r / "images/train/a.png").write_bytes((r / "images/train/a.png").read_bytes()[:20])),
        "picture.unreadable",
        None,
    ),
    "truncated JPEG": (truncated, "picture.truncated", None),
    "climbing out": (listed("../../etc/passwd"), "paths.climbs", 2),
    "climbing out to a picture": (listed("images/../../../b.png"), "paths.climbs", 2),
    "list of junk": (listed("\x01\x02 not a picture"), "picture.unreadable", 2),
    "the same picture in two splits": (after(same_picture), "splits.shared", None),
    "the same split twice": (lambda root: yolo_set(root, yaml=YAML.replace("/val", "/train")), "splits.shared", None),
    "download": (lambda root: yolo_set(root, yaml=f"{YAML}download: rm -rf /\n"), "yaml.download_ignored", None),
    "a split that climbs out": (
        lambda root: yolo_set(root, yaml=YAML.replace("images/val", "../../etc")),
        "paths.climbs",
        None,
    ),
    "relation of an unknown class": (
        lambda root: yolo_set(root, yaml=YAML.replace("child: plate", "child: plat")),
        "relations.invalid",
        None,
    ),
    "relation of an unknown class, by order": (
        lambda root: yolo_set(root, yaml=YAML.replace("child: plate", "child: plat") + "pairs: order\n"),
        "relations.invalid",
        None,
    ),
    "no such split": (lambda root: yolo_set(root, yaml=f"{YAML}test: images/test\n"), "yaml.split_missing", None),
    "empty split": (after(lambda root: (root / "images/train/a.png").unlink()), "split.empty", None),
    "nc": (lambda root: yolo_set(root, yaml=f"{YAML}nc: 3\n"), "yaml.nc_mismatch", None),
    "a typo": (lambda root: yolo_set(root, yaml=YAML.replace("relations", "realtions")), "yaml.unknown_key", None),
    "no as a name": (
        lambda root: yolo_set(root, yaml="train: images/train\nval: images/val\nnames: [no, car]\n"),
        "yaml.name_not_text",
        None,
    ),
    "no names": (
        lambda root: yolo_set(root, yaml="train: images/train\nval: images/val\nnc: 2\n"),
        "yaml.names_missing",
        None,
    ),
    "one name twice": (
        lambda root: yolo_set(root, yaml="train: images/train\nval: images/val\nnames: [car, car]\n"),
        "yaml.names_duplicate",
        None,
    ),
    "COCO: NaN": (
        lambda root: coco_set(root, coco_content(annotations=[annotation(bbox=[float("nan"), 1, 2, 3])])),
        "labels.not_finite",
        None,
    ),
    "COCO: 1e999": (
        lambda root: coco_set(root, json.dumps(coco_content()).replace("[45, 38, 10, 4]", "[45, 1e999, 10, 4]")),
        "labels.not_finite",
        None,
    ),
    "COCO: texts": (
        lambda root: coco_set(root, coco_content(annotations=[annotation(bbox=["1", "2", "3", "4"])])),
        "labels.not_a_number",
        None,
    ),
    "COCO: climbing out": (
        lambda root: coco_set(root, coco_content(images=[{"id": 7, "file_name": "../../etc/passwd"}])),
        "paths.climbs",
        None,
    ),
    "COCO: no annotations": (
        lambda root: coco_set(root, coco_content(annotations=[])),
        "coco.no_annotations",
        None,
    ),
}


def check(root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any], str]:
    """Run `icr data check --json` on a folder: status, answer, stderr."""
    capsys.readouterr()
    status = run(["data", "check", str(root), "--json", *more])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else {}, err


@pytest.mark.usefixtures("read_both_ways")
@pytest.mark.parametrize("case", FINDINGS)
def test_each_fault_has_its_finding(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, finding, line = FINDINGS[case]
    build(tmp_path)
    before = snapshot(tmp_path)
    status, answer, _ = check(tmp_path, capsys)
    hits = [each for each in answer["findings"] if each["id"] == finding]
    assert hits, answer["counts"]
    assert answer["counts"][finding] == len(hits)
    assert hits[0]["line"] == line
    assert hits[0]["file"] and "\n" not in hits[0]["message"]
    assert status == int(any(each["severity"] == "error" for each in answer["findings"]))
    assert snapshot(tmp_path) == before, "a check changes nothing"


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in sorted(root.rglob("*"))}


def test_a_sound_set_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, answer, _ = check(yolo_set(tmp_path), capsys)
    assert status == 0 and answer["findings"] == [] and answer["counts"] == {}


def test_a_hundred_thousand_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"0 0.5 0.5 {0.1 + index * 1e-7!r} 0.1" for index in range(99_999)]
    yolo_set(tmp_path, {"a": [*lines, "0 nan 0.5 0.1 0.1"]}, yaml=YAML.split("relations")[0])
    dataset = read(tmp_path)
    assert len(dataset.splits["train"][0].boxes) == 99_999
    assert [(each.id, each.line) for each in dataset.findings] == [("labels.not_finite", 100_000)]
    yolo_set(tmp_path / "bad", {"a": ["0 nan 0.5 0.1 0.1"] * 100_000})
    status, answer, _ = check(tmp_path / "bad", capsys)
    assert status == 1 and answer["counts"]["labels.not_finite"] == 100_000


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HEAD = "train: images/train\nval: images/val\n"

REFUSED_YAML: dict[str, tuple[str | bytes, str]] = {
    "broken": ("train: [images\nnames: {", "line 2"),
    "tab": ("train:\timages\n\tval: x\n", "YAML"),
    "a list": ("- a\n- b\n", "found list, expected a mapping"),
    "empty": ("", "found nothing, expected a mapping"),
    "a word": ("hello", "found str, expected a mapping"),
    "binary": (bytes(range(128, 256)), "no UTF-8 text"),
    "control characters": ("train: \x01\x02", "not readable as YAML"),
    "bomb": (f"{BOMB}{HEAD}names: *i\n", "nested collection"),
    "merge bomb": (f"{MERGE_BOMB}{HEAD}names: [a]\n", "nested collection"),
    "deep": ("a: " + "[" * 5000, "nesting too deep"),
    "impossible date": (f"{HEAD}names: [a]\nwhen: 2026-99-99\n", "not readable as YAML"),
    "endless number": (f"{HEAD}names: [a]\nnc: {'9' * 5000}\n", "not readable as YAML"),
    "python object": (f"{HEAD}names: !!python/object/apply:os.system [ls]\n", "constructor"),
    "no names": (HEAD, "found no names; expected names:"),
    "empty names": (f"{HEAD}names: []\n", "found empty names; expected names:"),
    "names as text": (f"{HEAD}names: plate\n", "found names: 'plate'; expected names:"),
    "nested names": (f"{HEAD}names: [[plate], car]\n", "the name of class 0 is a list"),
    "names with holes": (f"{HEAD}names: {{0: plate, 2: car}}\n", "ids other than 0 to 1"),
    "names by word": (f"{HEAD}names: {{plate: 0}}\n", "a key that is no number"),
    "no split": ("names: [a]\n", "found no train:, val: or test:"),
    "a split of numbers": ("train: [1, 2]\nnames: [a]\n", "train is 1; expected a folder"),
    "a split as a map": ("train: {a: b}\nnames: [a]\n", "train is a mapping; expected a folder"),
    "path of numbers": (f"path: 3\n{HEAD}names: [a]\n", "path is 3; expected a folder"),
    "pairs": (f"{HEAD}names: [a]\npairs: ordre\n", "pairs is 'ordre'; expected order"),
}


@pytest.mark.parametrize("case", REFUSED_YAML)
def test_what_is_no_data_yaml_is_refused_in_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = REFUSED_YAML[case]
    yolo_set(tmp_path)
    (tmp_path / "data.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(check(tmp_path, capsys), said)


def refused(outcome: tuple[int, dict[str, Any], str], said: str) -> None:
    """Assert one line on stderr, nothing on stdout, status 2."""
    status, answer, err = outcome
    assert (status, answer) == (2, {})
    assert err.startswith("icr: ") and err.count("\n") == 1 and len(err) < 600
    assert said in err


REFUSED_JSON: dict[str, tuple[str, str]] = {
    "broken": ('{"images": [', "line 1: no readable JSON"),
    "binary": ("\x00\x01", "no readable JSON"),
    "deep": ("[" * 100_000, "no readable JSON (RecursionError)"),
    "endless number": (f'{{"images": {"9" * 5000}}}', "no readable JSON"),
    "a list": ("[]", "a results file"),
    "a word": ('"hello"', "found str"),
    "no images": ('{"annotations": [], "categories": []}', "found no images"),
    "no categories": ('{"annotations": [], "images": []}', "found no categories"),
    "images as text": ('{"annotations": [], "images": "a", "categories": []}', "images that is no list"),
    "annotations as a map": ('{"annotations": {}, "images": [], "categories": []}', "annotations that is no list"),
    "no usable category": ('{"annotations": [], "images": [], "categories": [3]}', "no usable categories"),
}


@pytest.mark.parametrize("case", REFUSED_JSON)
def test_what_is_no_coco_is_refused_in_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, said = REFUSED_JSON[case]
    coco_set(tmp_path, text)
    refused(check(tmp_path, capsys), said)


def test_sources_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(check(tmp_path / "nowhere", capsys), f"{tmp_path / 'nowhere'} does not exist\n")
    refused(check(tmp_path, capsys), "is no data set of a known format; expected a ")
    with pytest.raises(InputError, match="the path of the data set is empty"):
        read("")
    (tmp_path / "notes.txt").write_text("hello")
    refused(check(tmp_path / "notes.txt", capsys), "is no data set of a known format")
    refused(check(tmp_path, capsys, "--format", "yolo"), "is no data.yaml and holds none")
    refused(check(tmp_path, capsys, "--format", "cocoa"), "did you mean 'coco'?")
    (tmp_path / "data.yaml").mkdir()
    refused(check(tmp_path, capsys), "is no data set of a known format")
    (tmp_path / "loop").symlink_to("loop")
    refused(check(tmp_path / "loop", capsys), "does not exist")
    yolo_set(tmp_path / "both")
    coco_set(tmp_path / "both")
    refused(check(tmp_path / "both", capsys), "looks like coco and yolo; choose with --format")
    assert check(tmp_path / "both", capsys, "--format", "coco")[0] == 0


def test_what_may_not_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests may run as root, whom no mode stops, so the refusal is made here.
    yolo_set(tmp_path)
    real = Path.read_bytes

    def deny(name: str) -> None:
        def read_bytes(path: Path) -> bytes:
            if path.name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(Path, "read_bytes", read_bytes)

    deny("a.txt")
    status, answer, _ = check(tmp_path, capsys)
    assert status == 1 and answer["counts"]["text.unreadable"] == 1
    deny("data.yaml")
    refused(check(tmp_path, capsys), "data.yaml cannot be opened: Permission denied")


PIECES = (
    "nan", "1e999", "-1", "0", "1e308", "\ufeff", "\x00", "\n", "\r", "..", "/", "&a ", "*a", "<<: ", "!!int ", "|",
    "'", '"', ": ", "- ", "{", "}", "[", "]", ",", "null", "true", "9" * 400, "x" * 5000, "\\ud800", "é", "~", "1_0",
)  # fmt: skip
SOUND = {
    "yolo/data.yaml": YAML.replace("val: images/val", "val: [images/val, list.txt]"),
    "yolo/labels/train/a.txt": f"{PLATE}\n{CAR}\n",
    "yolo/pairs/train/a.txt": "0 1\n1 -1\n",
    "yolo/list.txt": "images/train/a.png\n./images/train/a.png\n",
    "coco/train.json": json.dumps(coco_content(info={"relations": [{"child": "plate", "parent": "car"}]})),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a YOLO and a COCO set whose files a test spoils and puts right again."""
    root = tmp_path_factory.mktemp("sound")
    yolo_set(root / "yolo")
    (root / "yolo" / "pairs" / "train").mkdir(parents=True)
    coco_set(root / "coco")
    for name, text in SOUND.items():
        (root / name).write_text(text)
    return root


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(SOUND)),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(st.sampled_from(PIECES), st.text(max_size=4))),
        min_size=1,
        max_size=4,
    ),
    codec=st.sampled_from(["utf-8", "utf-8", "utf-16", "latin-1"]),
)
def test_files_spoiled_at_random(name: str, cuts: list[tuple[float, int, str]], codec: str, sound: Path) -> None:
    text = SOUND[name]
    for where, length, piece in cuts:
        place = int(where * len(text))
        text = text[:place] + piece + text[place + length :]
    (sound / name).write_bytes(text.encode(codec, "surrogatepass" if codec == "utf-8" else "replace"))
    try:
        dataset = read(sound / name.split("/")[0])
        findings = check_set(dataset)
    except InputError as error:
        assert "\n" not in str(error)
        str(error).encode()
        return
    finally:
        (sound / name).write_text(SOUND[name])
    assert "\n" not in "".join(each.message + each.file for each in findings)
    for sample in (each for samples in dataset.splits.values() for each in samples):
        assert np.isfinite(sample.boxes).all() and (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
        assert ((sample.labels >= 0) & (sample.labels < len(dataset.names))).all()
        assert ((sample.parents >= UNSTATED) & (sample.parents < len(sample.labels))).all()
        assert len(sample.boxes) == len(sample.labels) == len(sample.parents) == len(sample.lines)


@pytest.mark.parametrize("case", FINDINGS)
def test_converting_and_training_on_it_lose_no_more_than_the_faulty_rows(case: str, tmp_path: Path) -> None:
    FINDINGS[case][0](tmp_path / "in")
    dataset = read(tmp_path / "in")
    write(dataset, tmp_path / "out", "coco", images="link")
    again = read(tmp_path / "out")
    assert sum_of_boxes(again.splits) == sum_of_boxes(dataset.splits)
    if all(dataset.splits.get(split) for split in ("train", "val")):
        prepared = read(prepare_yolo(dataset, tmp_path / "run"))
        faults = {each.id for each in prepared.findings if each.severity == "error"}
        assert faults <= {"yaml.split_missing", "labels.none"}
        repeats = sum(each.id == "labels.duplicate" for each in dataset.findings)
        assert sum_of_boxes(prepared.splits) == sum_of_boxes(dataset.splits) - repeats


def sum_of_boxes(splits: dict[str, Any]) -> int:
    return sum(len(sample.boxes) for samples in splits.values() for sample in samples)
