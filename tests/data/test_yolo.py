"""YOLO: layouts, rows, pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import CAR, HEIGHT, PLATE, WIDTH, YAML, ids, picture, same_boxes, yolo_set

from icr.data.dataset import NO_PARENT, UNSTATED
from icr.data.formats import read, write
from icr.errors import InputError
from icr.relations import Relation

pytestmark = pytest.mark.usefixtures("read_both_ways")


def test_boxes_are_in_pixels(tmp_path: Path) -> None:
    # 100 x 80: cx 0.5 -> 50, w 0.1 -> 10, so x 45..55; cy 0.5 -> 40, h 0.05 -> 4, so y 38..42.
    dataset = read(yolo_set(tmp_path))
    sample = dataset.splits["train"][0]
    np.testing.assert_allclose(sample.boxes, [[45, 38, 55, 42], [20, 20, 80, 60]], atol=1e-9)
    assert sample.labels.tolist() == [0, 1]
    assert sample.parents.tolist() == [UNSTATED, UNSTATED]
    assert sample.lines.tolist() == [1, 2]
    assert (sample.width, sample.height) == (WIDTH, HEIGHT)
    assert sample.image.is_absolute() and sample.label_file == tmp_path / "labels/train/a.txt"
    assert dataset.names == ["plate", "car"] and dataset.format == "yolo"
    assert dataset.relations == (Relation("plate", "car"),)
    assert dataset.findings == []


@pytest.mark.parametrize("source", ["", "data.yaml"])
def test_source_is_the_file_or_its_folder(tmp_path: Path, source: str) -> None:
    yolo_set(tmp_path)
    assert len(read(tmp_path / source).splits["train"]) == 1


def test_names_as_a_map(tmp_path: Path) -> None:
    yolo_set(tmp_path, yaml="train: images/train\nval: images/val\nnames: {1: car, 0: plate}\n")
    assert read(tmp_path).names == ["plate", "car"]


def test_path_may_lead_elsewhere(tmp_path: Path) -> None:
    yolo_set(tmp_path / "pictures")
    (tmp_path / "here.yaml").write_text(f"path: pictures\n{YAML}")
    dataset = read(tmp_path / "here.yaml")
    assert len(dataset.splits["val"]) == 1 and dataset.findings == []


def test_a_path_that_is_gone_gives_way_to_the_folder(tmp_path: Path) -> None:
    yolo_set(tmp_path, yaml=f"path: /nowhere/at/all\n{YAML}")
    dataset = read(tmp_path)
    assert len(dataset.splits["train"]) == 1 and ids(dataset.findings) == ["yaml.path_moved"]


def test_roboflow_layout(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / split / "images" / "a.png")
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / "a.txt").write_text(f"{PLATE}\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [plate, car]\n")
    dataset = read(tmp_path)
    assert [len(sample.labels) for split in dataset.splits.values() for sample in split] == [1, 1]
    assert set(ids(dataset.findings)) == {"yaml.path_moved"}


@pytest.mark.parametrize("entry", ["../images/val", "../../images/val"])
def test_a_data_yaml_in_a_subfolder_may_lead_to_pictures_beside_it(tmp_path: Path, entry: str) -> None:
    yolo_set(tmp_path)
    folder = tmp_path / ("/".join(["deep"] * entry.count("..")))
    folder.mkdir(parents=True)
    (folder / "data.yaml").write_text(f"val: {entry}\nnames: [plate, car]\n")
    dataset = read(folder)
    assert len(dataset.splits["val"]) == 1 and ids(dataset.findings) == ["paths.outside_root"]


def test_a_split_that_leads_out_to_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").touch()
    for entry, found in (
        ("../../etc", "paths.climbs"),
        ("../../absent", "paths.climbs"),
        ("../absent", "yaml.split_missing"),
    ):
        dataset = read(yolo_set(tmp_path / "a" / "b", yaml=YAML.replace("images/val", entry)))
        assert ids(dataset.findings) == sorted([found, "split.empty"])
        if found == "paths.climbs":
            assert dataset.findings[0].message.startswith(f"'{entry}' leads out of {tmp_path / 'a' / 'b'}, ")


def test_only_a_yaml_that_speaks_of_pictures_is_taken_for_the_data_set(tmp_path: Path) -> None:
    for name, text in ((".pre-commit-config.yaml", YAML), ("ci.yml", "jobs: {test: 1}\n"), ("bad.yaml", "a: [")):
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="is no data set of a known format"):
        read(tmp_path)
    yolo_set(tmp_path)
    (tmp_path / "data.yaml").rename(tmp_path / "plates.yaml")
    assert len(read(tmp_path).splits["val"]) == 1


def test_a_zero_byte_costs_its_own_row(tmp_path: Path) -> None:
    dataset = read(yolo_set(tmp_path, {"a": [PLATE, f"{PLATE}\0", CAR]}))
    assert dataset.splits["train"][0].lines.tolist() == [1, 3]
    assert [(each.id, each.line) for each in dataset.findings] == [("text.zero_byte", 2), ("labels.not_a_number", 2)]
    assert dataset.findings[0].message.startswith("holds a zero byte at line 2;")


def test_labels_beside_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "all" / "a.png")
    (tmp_path / "all" / "a.txt").write_text(f"{PLATE}\n{CAR}\n")
    (tmp_path / "all" / "pairs").mkdir()
    (tmp_path / "all" / "pairs" / "a.txt").write_text("0 1\n")
    (tmp_path / "data.yaml").write_text("train: all\nnames: [plate, car]\n")
    assert read(tmp_path).splits["train"][0].parents.tolist() == [1, NO_PARENT]


def test_several_folders_and_lists(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        picture(tmp_path / "images" / folder / "a.png")
        (tmp_path / "labels" / folder).mkdir(parents=True)
        (tmp_path / "labels" / folder / "a.txt").write_text(f"{CAR}\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "val.txt").write_text("./images/three/a.png\n\nimages/one/a.png\n")
    (tmp_path / "lists" / "test.txt").write_text("images/two/a.png\n../images/one/a.png\n")
    (tmp_path / "data.yaml").write_text(
        "train: [images/one, images/two]\nval: val.txt\ntest: [lists/test.txt]\nnames: [plate, car]\n"
    )
    dataset = read(tmp_path)
    where = {split: [sample.image.parent.name for sample in samples] for split, samples in dataset.splits.items()}
    assert where == {"train": ["one", "two"], "val": ["three", "one"], "test": ["two", "one"]}
    assert dataset.findings == []


def test_absolute_paths_in_lists_are_read_and_said(tmp_path: Path) -> None:
    yolo_set(tmp_path / "set")
    elsewhere = picture(tmp_path / "images" / "b.png")
    (tmp_path / "set" / "train.txt").write_text(f"{elsewhere}\n")
    (tmp_path / "set" / "data.yaml").write_text("train: train.txt\nnames: [plate, car]\n")
    dataset = read(tmp_path / "set")
    assert dataset.splits["train"][0].image == elsewhere
    assert "paths.absolute" in ids(dataset.findings)


def test_folders_are_walked_to_their_depths_and_links_do_not_go_round(tmp_path: Path) -> None:
    yolo_set(tmp_path, {"deep/er/a": [PLATE], "b": [CAR]})
    picture(tmp_path / "images" / "train" / ".hidden" / "c.png")
    (tmp_path / "images" / "train" / "deep" / "round").symlink_to(tmp_path / "images" / "train")
    dataset = read(tmp_path)
    assert [sample.image.name for sample in dataset.splits["train"]] == ["b.png", "a.png"]
    assert ids(dataset.findings) == ["folder.loop"]


def test_only_the_wanted_splits_are_read(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    assert list(read(tmp_path, splits=["val"]).splits) == ["val"]
    with pytest.raises(InputError, match=r"no split 'vall'; it has train, val; did you mean 'val'\?"):
        read(tmp_path, splits=["vall"])


def test_sizes_are_those_of_the_picture_as_shown(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / "train" / "t.jpg", exif=turned)
    (tmp_path / "labels" / "train" / "t.txt").write_text("1 0.5 0.5 1 1\n")
    dataset = read(tmp_path)
    assert dataset.splits["train"][1].boxes.tolist() == [[0, 0, 20, 40]]
    assert ids(dataset.findings) == ["picture.turned"]


class TestPairs:
    def pairs(self, root: Path, rows: list[str], sidecar: str | bytes) -> tuple[list[int], list[str]]:
        yolo_set(root, {"a": rows})
        file = root / "pairs" / "train" / "a.txt"
        file.parent.mkdir(parents=True)
        file.write_bytes(sidecar if isinstance(sidecar, bytes) else sidecar.encode())
        dataset = read(root)
        return dataset.splits["train"][0].parents.tolist(), ids(dataset.findings)

    def test_sidecar(self, tmp_path: Path) -> None:
        rows = [PLATE, CAR, PLATE, PLATE]
        # Row 2 is said to have no parent, row 3 is not listed: none either, row 1 is left open.
        assert self.pairs(tmp_path, rows, "0 1\n2 -1\n1 -2\n")[0] == [1, UNSTATED, NO_PARENT, NO_PARENT]

    def test_an_empty_sidecar_means_no_pairs(self, tmp_path: Path) -> None:
        assert self.pairs(tmp_path, [PLATE, CAR], "") == ([NO_PARENT, NO_PARENT], [])

    def test_rows_that_cannot_be_used_still_count_and_blank_lines_do_not(self, tmp_path: Path) -> None:
        rows = ["0 nan 0.5 0.1 0.1", "", PLATE, "9 0.5 0.5 0.1 0.1", CAR]
        assert self.pairs(tmp_path, rows, "1 3\n") == ([1, NO_PARENT], ["labels.class", "labels.not_finite"])

    def test_a_pair_with_a_row_that_cannot_be_used_is_lost(self, tmp_path: Path) -> None:
        assert self.pairs(tmp_path, [PLATE, "1 0.5 0.5 -1 1"], "0 1\n") == (
            [NO_PARENT],
            ["labels.negative_size", "pairs.lost"],
        )

    def test_a_pair_with_a_box_outside_the_picture_is_lost(self, tmp_path: Path) -> None:
        assert self.pairs(tmp_path, ["1 5 5 1 1", PLATE, CAR], "1 0\n") == (
            [NO_PARENT, NO_PARENT],
            ["boxes.outside", "pairs.lost"],
        )

    @pytest.mark.parametrize(
        ("sidecar", "parents", "finding"),
        [
            ("0 7\n", [NO_PARENT, NO_PARENT], "pairs.row"),
            ("5 1\n", [NO_PARENT, NO_PARENT], "pairs.row"),
            ("-1 1\n", [NO_PARENT, NO_PARENT], "pairs.row"),
            ("0 1\n0 -1\n", [1, NO_PARENT], "pairs.repeated"),
            ("0 0\n", [NO_PARENT, NO_PARENT], "pairs.self"),
            ("0 1\n1 0\n", [NO_PARENT, NO_PARENT], "pairs.circle"),
            ("0 one\n", [NO_PARENT, NO_PARENT], "pairs.line"),
            ("0 1 1\n", [NO_PARENT, NO_PARENT], "pairs.line"),
            (b"\xff\xfe0\x00", [UNSTATED, UNSTATED], "text.encoding"),
            (b"\xef\xbb\xbf0 1\n", [1, NO_PARENT], "text.bom"),
        ],
    )
    def test_faults(self, tmp_path: Path, sidecar: str | bytes, parents: list[int], finding: str) -> None:
        assert self.pairs(tmp_path, [PLATE, CAR], sidecar) == (parents, [finding])


class TestOrder:
    def read(self, root: Path, rows: list[str], more: str = "") -> tuple[list[int], list[tuple[str, int | None]]]:
        yolo_set(root, {"a": rows}, yaml=f"{YAML}pairs: order\n{more}")
        dataset = read(root)
        return dataset.splits["train"][0].parents.tolist(), [(each.id, each.line) for each in dataset.findings]

    def test_a_child_is_followed_by_its_parent(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, [PLATE, CAR, "0 .5 .6 .1 .1", CAR.replace("0.6", "0.7")]) == (
            [1, NO_PARENT, 3, NO_PARENT],
            [],
        )

    def test_one_missing_line_does_not_shift_the_pairs_after_it(self, tmp_path: Path) -> None:
        lone = "1 .2 .2 .1 .1"
        assert self.read(tmp_path, [PLATE, CAR, lone, "0 .5 .6 .1 .1", "1 .5 .5 .7 .7"]) == (
            [1, NO_PARENT, UNSTATED, 4, NO_PARENT],
            [("pairs.order", 3)],
        )

    def test_a_broken_row_holds_its_place(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, ["0 nan .5 .1 .1", CAR, "0 .5 .6 .1 .1", "1 .5 .5 .7 .7"]) == (
            [NO_PARENT, 2, NO_PARENT],
            [("labels.not_finite", 1)],
        )

    def test_two_broken_rows_hold_the_places_of_a_pair(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, ["0 nan .5 .1 .1", "1 .5", PLATE, CAR]) == (
            [1, NO_PARENT],
            [("labels.not_finite", 1), ("labels.fields", 2)],
        )

    def test_what_is_wrong_is_said_of_parents_too(self, tmp_path: Path) -> None:
        self.read(tmp_path, [CAR.replace("0.6", "0.7"), PLATE, CAR, PLATE.replace("0.1", "0.2")])
        assert [(each.line, each.message) for each in read(tmp_path).findings] == [
            (1, "a row of class 1, a parent, does not follow its child"),
            (4, "a row of class 0 is followed by the end of the file, not by its parent"),
        ]

    def test_without_relations_lines_alternate(self, tmp_path: Path) -> None:
        yolo_set(tmp_path, yaml="train: images/train\nnames: [plate, car]\npairs: order\n")
        assert read(tmp_path).splits["train"][0].parents.tolist() == [1, NO_PARENT]

    def test_a_sidecar_outranks_the_order(self, tmp_path: Path) -> None:
        yolo_set(tmp_path, yaml=f"{YAML}pairs: order\n")
        (tmp_path / "pairs" / "train").mkdir(parents=True)
        (tmp_path / "pairs" / "train" / "a.txt").write_text("")
        assert read(tmp_path).splits["train"][0].parents.tolist() == [NO_PARENT, NO_PARENT]


def test_outlines_become_boxes_and_are_kept(tmp_path: Path) -> None:
    yolo_set(tmp_path, {"a": ["1 0.1 0.2 0.5 0.1 0.3 0.6", PLATE]})
    dataset = read(tmp_path)
    sample = dataset.splits["train"][0]
    # x 0.1..0.5 of 100, y 0.1..0.6 of 80
    np.testing.assert_allclose(sample.boxes[0], [10, 8, 50, 48], atol=1e-9)
    np.testing.assert_allclose(sample.box_attributes[0]["segmentation"], [[10, 16, 50, 8, 30, 48]], atol=1e-9)
    assert sample.box_attributes[1] == {}
    assert [(each.id, each.severity) for each in dataset.findings] == [("labels.polygon", "info")]


def test_written_files_are_plain_yolo(tmp_path: Path) -> None:
    dataset = read(yolo_set(tmp_path / "a", {"deep/a": [PLATE, CAR], "deep/b": [PLATE]}))
    dataset.splits["train"][0].parents[:] = [1, NO_PARENT]
    assert write(dataset, tmp_path / "b", "yolo") == ()
    assert (tmp_path / "b/labels/train/a.txt").read_text() == "0 0.5 0.5 0.1 0.05\n1 0.5 0.5 0.6 0.5\n"
    assert (tmp_path / "b/pairs/train/a.txt").read_text() == "0 1\n"
    assert not (tmp_path / "b/pairs/train/b.txt").exists()
    assert yaml.safe_load((tmp_path / "b/data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/val",
        "names": {0: "plate", 1: "car"},
        "relations": [{"child": "plate", "parent": "car", "weight": 2.5}],
    }
    assert not list(tmp_path.glob(".b*"))
    same_boxes(read(tmp_path / "b").splits["train"][0], dataset.splits["train"][0])


def test_pictures_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    yolo_set(tmp_path / "a", {"a": [PLATE], "b/images/a": [CAR], "c/a": [CAR, PLATE]})
    picture(tmp_path / "a/images/train/a.jpg")  # a label file is found by stem, so this would share a.png's
    dataset = read(tmp_path / "a")
    write(dataset, tmp_path / "b", "yolo", images="link")
    again = read(tmp_path / "b")
    assert sorted(s.labels.tolist() for s in again.splits["train"]) == sorted(
        s.labels.tolist() for s in dataset.splits["train"]
    )
    assert {s.image.resolve() for s in again.splits["train"]} == {s.image for s in dataset.splits["train"]}


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    dataset = read(yolo_set(tmp_path / "a"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        write(dataset, tmp_path / "full", "yolo")
    (tmp_path / "a/images/val/v.png").unlink()
    with pytest.raises(InputError, match="cannot be copied"):
        write(dataset, tmp_path / "new", "yolo")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "full"]
    with pytest.raises(InputError, match="use --images link"):
        write(dataset, tmp_path / "new", "yolo", images="reference")
