"""Checking pairs and pictures; and the page that explains every finding."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from small_sets import CAR, PLATE, YAML, annotation, coco_content, coco_set, picture, yolo_set

from icr.cli.commands import run
from icr.data.check import check, relations_to_check, report
from icr.data.dataset import Finding
from icr.data.findings import KINDS
from icr.data.formats import read
from icr.errors import InputError
from icr.relations import Relation, choose

REPOSITORY = Path(__file__).resolve().parents[2]
RELATION = (Relation("plate", "car"),)
BIG = "1 0.5 0.5 0.9 0.9"


def findings_of(root: Path, rows: list[str], sidecar: str | None = None) -> list[tuple[str, int | None]]:
    """Ids and lines found for one train picture with these rows, beside one with a sound pair."""
    yolo_set(root, {"a": rows, "sound": [PLATE, CAR]})
    if sidecar is not None:
        (root / "pairs" / "train").mkdir(parents=True)
        (root / "pairs" / "train" / "a.txt").write_text(sidecar)
    return [(each.id, each.line) for each in check(read(root))]


@pytest.mark.parametrize(
    ("rows", "sidecar", "expected"),
    [
        ([PLATE, CAR], None, []),
        ([PLATE, CAR], "0 1", []),
        # no car at all; a car that holds 40 % of the plate (plate 45..55, car 51..91)
        ([CAR, "0 0.1 0.1 0.1 0.1"], None, [("pairs.orphan", 2)]),
        ([PLATE, "1 0.71 0.5 0.4 0.5"], None, [("pairs.orphan", 1)]),
        # geometry would pair these two, but the data says otherwise
        ([PLATE, CAR], "0 -1", [("pairs.orphan", 1)]),
        ([PLATE, CAR, BIG], None, [("pairs.ambiguous", 1)]),
        ([PLATE, CAR, BIG], "0 2", []),
        ([PLATE, "1 0.1 0.1 0.1 0.1"], "0 1", [("pairs.outside", 1)]),
        # plate 20 x 16 px, car 12 x 16 px at its middle: 60 % inside, larger all the same
        (["0 0.5 0.5 0.2 0.2", "1 0.5 0.5 0.12 0.2"], None, [("pairs.larger", 1)]),
        ([PLATE, "0 0.5 0.5 0.4 0.4", CAR], "0 1\n1 2", [("pairs.class", 1)]),
    ],
)
def test_pairs(tmp_path: Path, rows: list[str], sidecar: str | None, expected: list[tuple[str, int | None]]) -> None:
    assert findings_of(tmp_path, rows, sidecar) == expected


def test_a_set_without_a_pair_is_an_error(tmp_path: Path) -> None:
    yolo_set(tmp_path, {"a": [CAR], "b": ["0 0.1 0.1 0.1 0.1"]})
    assert [each.id for each in check(read(tmp_path))] == ["pairs.none", "pairs.orphan"]


def test_relations_given_outrank_those_declared(tmp_path: Path) -> None:
    dataset = read(yolo_set(tmp_path))
    assert [each.id for each in check(dataset, [Relation("car", "plate")])] == [
        "pairs.none",
        "pairs.orphan",
        "pairs.orphan",
    ]
    with pytest.raises(InputError, match="did you mean 'plate'"):
        check(dataset, [Relation("plat", "car")])


@pytest.mark.parametrize("block", ["{child: plate}", "[{child: plat, parent: car}]"])
def test_faulty_relations_are_a_finding_for_checks_and_a_refusal_for_the_rest(tmp_path: Path, block: str) -> None:
    dataset = read(yolo_set(tmp_path, {"a": ["0 nan 0 0 0"]}, yaml=f"{YAML.split('relations')[0]}relations: {block}\n"))
    found = check(dataset, relations_to_check((), dataset).relations)
    assert [each.id for each in found] == ["labels.not_finite", "relations.invalid"] == [e.id for e in check(dataset)]
    assert found[1].file == str(tmp_path / "data.yaml")
    with pytest.raises(InputError, match=r"relations is a mapping|there is no class 'plat'"):
        choose((), dataset)
    assert choose(["plate:car"], dataset).relations == RELATION
    with pytest.raises(InputError, match="there is no class 'wheel'"):
        relations_to_check(["wheel:car"], dataset)


def test_without_a_relation_the_rest_is_checked(tmp_path: Path) -> None:
    yolo_set(tmp_path, {"a": ["0 nan 0 0 0"]}, yaml=YAML.split("relations")[0])
    dataset = read(tmp_path)
    chosen = relations_to_check((), dataset)
    assert chosen.relations == () and chosen.said.startswith("pairs are not checked: ")
    assert [each.id for each in check(dataset, chosen.relations)] == ["labels.not_finite", "relations.unknown"]
    with pytest.raises(InputError, match="there is no class 'wheel'"):
        relations_to_check(["wheel:car"], dataset)


def test_annotations_are_named_by_id_and_picture(tmp_path: Path) -> None:
    content = coco_content(annotations=[annotation(), annotation(id=12, category_id=9, bbox=[1, 1, 20, 20])])
    orphan = next(f for f in check(read(coco_set(tmp_path, content)), RELATION) if f.id == "pairs.orphan")
    assert "plate (annotation 11 of a.png) has no car" in orphan.message
    assert orphan.file == str(tmp_path / "train.json") and orphan.line is None


def test_equal_pictures(tmp_path: Path) -> None:
    yolo_set(tmp_path, {"a": [PLATE, CAR], "b": [PLATE, CAR]})
    for name in ("train/a", "train/b", "val/v"):
        picture(tmp_path / "images" / f"{name}.png", shade=1)
    found = [(each.id, Path(each.file).name) for each in check(read(tmp_path))]
    assert found == [("splits.shared", "v.png"), ("picture.duplicate", "b.png")]


def test_errors_come_first_and_progress_is_told(tmp_path: Path) -> None:
    yolo_set(tmp_path, {"a": [PLATE, CAR, PLATE, "9 1 1 1 1"], "b": []})
    told: list[tuple[int, int]] = []
    findings = check(read(tmp_path), progress=lambda done, total: told.append((done, total)))
    assert [each.severity for each in findings] == ["error", "warning", "info"]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_real_photographs(oid_car_plate: Path) -> None:
    dataset = read(oid_car_plate)
    findings = check(dataset, (Relation("carplate", "car"),))
    counts = Counter(each.id for each in findings)
    plates = sum(int((s.labels == 1).sum()) for samples in dataset.splits.values() for s in samples)
    # "In about 6 % of them a plate has no labelled parent."
    assert 0.05 < counts["pairs.orphan"] / plates < 0.07
    assert counts["pairs.ambiguous"] > 0
    assert all(each.severity != "error" for each in findings)


def test_the_report_sums_up_what_is_many() -> None:
    many = [Finding("labels.class", "error", "/d/labels/a.txt", line, f"class {line}") for line in range(1, 8)]
    text = report(many, Path("/d/data.yaml"))
    assert "labels/a.txt:3  class 3" in text and "class 4" not in text and "… and 4 more (--all prints each)" in text
    assert text.endswith("7 errors, 0 warnings, 0 remarks")
    assert "class 7" in report(many, Path("/d/data.yaml"), every=True)


def test_the_page_lists_every_finding() -> None:
    page = (REPOSITORY / "docs" / "findings.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", page, re.MULTILINE))
    assert list(table) == list(KINDS)
    for kind, each in KINDS.items():
        assert table[kind] == f"{each.severity} | {each.meaning} | {each.remedy}", kind


def test_every_id_in_the_code_is_a_kind_and_every_kind_is_made() -> None:
    sources = [
        file.read_text(encoding="utf-8")
        for file in (REPOSITORY / "src" / "icr").rglob("*.py")
        if file.name != "findings.py"
    ]
    made = {kind for text in sources for kind in re.findall(r'\bfound\(\s*"([^"]+)"', text)}
    assert made and made <= set(KINDS)
    assert [kind for kind in KINDS if not any(f'"{kind}"' in text for text in sources)] == []


@pytest.mark.parametrize("command", ["check", "stats", "pair", "relations", "show", "split", "convert"])
def test_an_empty_path_is_not_the_current_folder(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(yolo_set(tmp_path))
    options = {"pair": ["--out", "x"], "split": ["--out", "x"], "convert": ["--to", "coco", "--out", "x"]}
    assert run(["data", command, "", *options.get(command, [])]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "it is empty; name a data.yaml" in err and len(err.splitlines()) == 1
    assert run(["data", "check", "."]) == 0
