"""VOC XML: plain, with carplates, with nested objects; refused document types; files as they should not be."""

from __future__ import annotations

from pathlib import Path

import pytest
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import HEIGHT, WIDTH, ids, picture

from icr.data import formats
from icr.data.check import check
from icr.data.dataset import Dataset
from icr.data.formats.xml_tree import XmlBrokenError, XmlRefusedError, parse
from icr.errors import InputError
from icr.relations import Relation

pytestmark = pytest.mark.usefixtures("read_both_ways")


def bndbox(*sides: object, inside: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)
    return f"<bndbox>{''.join(f'<{tag}>{side}</{tag}>' for tag, side in tags)}{inside}</bndbox>"


def thing(name: str, box: str, inside: str = "") -> str:
    return f"<object><name>{name}</name><difficult>0</difficult>{box}{inside}</object>\n"


CAR, PLATE = thing("car", bndbox(10, 20, 70, 60)), thing("plate", bndbox(40, 45, 50, 50))
SIDES = {"carplate_xmin": 40, "carplate_ymin": 45, "carplate_xmax": 50, "carplate_ymax": 50}
CARPLATE = "".join(f"<{tag}>{side}</{tag}>" for tag, side in SIDES.items())


def xml(objects: str, filename: str = "a.jpg", size: tuple[int, int] = (WIDTH, HEIGHT)) -> str:
    head = f"<filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><folder>x</folder>{head}\n{objects}</annotation>\n"


def voc(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write pictures with their annotations in the classic two folders, by stem."""
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        picture(root / "JPEGImages" / f"{stem}.jpg")
        data = content if isinstance(content, bytes) else content.encode()
        (root / "Annotations" / f"{stem}.xml").write_bytes(data)
    return root


def one(root: Path, objects: str) -> Dataset:
    return formats.read(voc(root, {"a": xml(objects)}))


def test_plain(tmp_path: Path) -> None:
    dataset = one(tmp_path / "with blanks", CAR + PLATE)
    assert dataset.format == "voc" and dataset.names == ["car", "plate"] and dataset.relations == ()
    sample = dataset.splits["train"][0]
    assert sample.boxes.tolist() == [[10, 20, 70, 60], [40, 45, 50, 50]]
    assert sample.labels.tolist() == [0, 1] and sample.parents.tolist() == [-2, -2]
    assert sample.lines.tolist() == [2, 3]
    assert sample.box_attributes[0] == {"difficult": 0}
    assert check(dataset, (Relation("plate", "car"),)) == []


@pytest.mark.parametrize("where", ["object", "bndbox"])
def test_a_car_with_has_carplate(where: str, tmp_path: Path) -> None:
    flag, text = "<has_carplate>1</has_carplate>", "<carplate_text>京A12345</carplate_text>"
    if where == "object":
        objects = thing("car", bndbox(10, 20, 70, 60), flag + CARPLATE + text)
    else:
        objects = thing("car", bndbox(10, 20, 70, 60, inside=CARPLATE + text), flag)
    objects += thing("car", bndbox(0, 0, 9, 9), "<has_carplate>0</has_carplate>")
    dataset = one(tmp_path, objects)
    assert dataset.findings == [] and dataset.names == ["car", "carplate"]
    assert dataset.relations == (Relation("carplate", "car"),)
    sample = dataset.splits["train"][0]
    assert sample.labels.tolist() == [0, 1, 0]
    assert sample.boxes[1].tolist() == [40, 45, 50, 50]
    assert sample.parents.tolist() == [-2, 0, -2]
    assert sample.box_attributes[1] == {"text": "京A12345"}


@pytest.mark.parametrize("tag", ["object", "part", "plate"])
def test_plates_nested_in_their_vehicles(tag: str, tmp_path: Path) -> None:
    nested = f"<{tag}><name>plate</name>{bndbox(40, 45, 50, 50)}</{tag}>"
    if tag == "plate":
        nested = nested.replace("<name>plate</name>", "")
    objects = thing("car", bndbox(10, 20, 70, 60), nested) + thing("truck", bndbox(30, 40, 90, 70), nested)
    dataset = one(tmp_path, objects)
    assert dataset.relations == (Relation("plate", ("car", "truck")),)
    sample = dataset.splits["train"][0]
    assert [dataset.names[each] for each in sample.labels] == ["car", "plate", "truck", "plate"]
    assert sample.parents.tolist() == [-2, 0, -2, 2]


def test_a_chain_of_nested_objects(tmp_path: Path) -> None:
    helmet = f"<part><name>helmet</name>{bndbox(30, 22, 40, 30)}</part>"
    rider = f"<object><name>rider</name>{bndbox(20, 20, 60, 50)}{helmet}</object>"
    dataset = one(tmp_path, thing("motorcycle", bndbox(10, 20, 70, 60), rider))
    assert dataset.relations == (Relation("helmet", "rider"), Relation("rider", "motorcycle"))
    assert dataset.splits["train"][0].parents.tolist() == [-2, 0, 1]


def test_classes_in_each_other_declare_no_relation(tmp_path: Path) -> None:
    def nest(*names: str) -> str:
        inner = ""
        for name in names:
            inner = f"<object><name>{name}</name>{bndbox(10, 20, 70, 60)}{inner}</object>"
        return inner

    dataset = one(tmp_path, nest("a", "b") + nest("b", "c") + nest("c", "a") + nest("d", "a"))
    assert dataset.relations == (Relation("d", "a"),)
    check(dataset)


class TestSplits:
    def test_lists_of_image_sets(self, tmp_path: Path) -> None:
        voc(tmp_path / "VOC2007", {stem: xml(CAR, f"{stem}.jpg") for stem in "abcd"})
        lists = tmp_path / "VOC2007" / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (lists / "trainval.txt").write_text("a\nb\n")
        (lists / "test.txt").write_text("c  1\ngone\n")
        (lists / "car_test.txt").write_text("c -1\n")
        dataset = formats.read(tmp_path)
        assert {split: [each.image.stem for each in samples] for split, samples in dataset.splits.items()} == {
            "train": ["a", "b"],
            "test": ["c"],
        }
        assert ids(dataset.findings) == ["picture.missing", "splits.unlisted"]
        assert "1 XML file" in next(each.message for each in dataset.findings if each.id == "splits.unlisted")

    def test_names_in_a_list_may_hold_blanks(self, tmp_path: Path) -> None:
        voc(tmp_path, {stem: xml(CAR, f"{stem}.jpg") for stem in ("车 1", "a b", "my car 0", "c")})
        lists = tmp_path / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text("车 1\nmy car 0  1\nc -1\n", encoding="utf-8")
        (lists / "val.txt").write_text("a b\n")
        dataset = formats.read(tmp_path)
        assert {split: [each.image.stem for each in samples] for split, samples in dataset.splits.items()} == {
            "train": ["车 1", "my car 0", "c"],
            "val": ["a b"],
        }
        assert dataset.findings == []
        (lists / "val.txt").write_bytes("车 1\n".encode("gbk"))
        assert {"text.encoding", "split.empty"} <= set(ids(formats.read(tmp_path).findings))

    def test_folders_by_name(self, tmp_path: Path) -> None:
        voc(tmp_path / "train", {"a": xml(CAR)})
        picture(tmp_path / "valid" / "b.jpg")
        (tmp_path / "valid" / "b.xml").write_text(xml(CAR, "b.jpg"))
        dataset = formats.read(tmp_path)
        assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}
        assert dataset.findings == []

    def test_folders_by_kind_then_split(self, tmp_path: Path) -> None:
        for split in ("train", "test"):
            picture(tmp_path / "images" / split / "a.png")
            (tmp_path / "annotations" / split).mkdir(parents=True)
            (tmp_path / "annotations" / split / "a.xml").write_text(xml(CAR, "a.png"))
        dataset = formats.read(tmp_path)
        assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "test": 1}
        assert dataset.findings == []

    def test_pictures_and_labels_in_one_folder_are_all_train(self, tmp_path: Path) -> None:
        picture(tmp_path / "a.jpg")
        (tmp_path / "a.xml").write_text(xml(CAR + PLATE))
        assert len(formats.read(tmp_path).splits["train"]) == 1

    def test_a_class_has_one_index_whichever_splits_are_read(self, tmp_path: Path) -> None:
        voc(tmp_path / "train", {"a": xml(CAR + PLATE)})
        voc(tmp_path / "test", {"b": xml(PLATE + "<object><name>?</name></object>")})
        whole, test = formats.read(tmp_path), formats.read(tmp_path, splits=["test"])
        assert whole.names == test.names == ["car", "plate"]
        assert test.splits["test"][0].labels.tolist() == [1]
        assert ids(formats.read(tmp_path, splits=["train"]).findings) == []


BOMB = '<!DOCTYPE lolz [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gbk"])
def test_document_types_and_entities_are_refused_before_parsing(encoding: str, tmp_path: Path) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    bomb = f"{head}{BOMB}]>{xml(thing('&j;', bndbox(10, 20, 70, 60)))}".encode(encoding)
    outside = f'{head}<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>{xml(thing("&x;", bndbox(1, 2, 3, 4)))}'
    dataset = formats.read(voc(tmp_path, {"a": xml(CAR), "b": bomb, "c": outside.encode(encoding)}))
    assert [(each.id, Path(each.file).name) for each in dataset.findings] == [
        ("labels.refused", "b.xml"),
        ("labels.refused", "c.xml"),
    ]
    assert "declares a DOCTYPE in line 2" in dataset.findings[0].message
    assert dataset.names == ["car"]


@pytest.mark.parametrize(
    ("data", "line", "told"),
    [
        (xml(CAR)[:-30].encode(), 2, "no readable XML"),
        (b"<annotation>\n<object></annotation>", 2, "mismatched tag"),
        (b"", 1, "no element found"),
        (b"<annotation>&nbsp;</annotation>", 1, "undefined entity"),
        (b"<a>" * 5000, 1, "elements more than 64 deep"),
        (b"<annotation>\n\xe9</annotation>", 2, "0xe9"),
        (b'<?xml version="1.0" encoding="utf-7"?><annotation/>', 1, "encoding 'utf-7'"),
        (b'<?xml version="1.0" encoding="rot13"?><annotation/>', 1, "encoding 'rot13'"),
        (b"<annotation>\x00</annotation>", None, "binary"),
        (b" " * (17 * 2**20), None, "17,825,792 bytes"),
    ],
)
def test_what_is_no_xml(data: bytes, line: int | None, told: str) -> None:
    with pytest.raises(XmlBrokenError, match=told) as raised:
        parse(data)
    assert raised.value.line == line


def test_xml_that_is_refused() -> None:
    for text in ("<!DOCTYPE a><a/>", "<a/><!ENTITY x 'y'>", "\ufeff<!doctype html><a/>"):
        with pytest.raises(XmlRefusedError):
            parse(text.encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
def test_stated_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    stated = "" if encoding == "utf-8-sig" else f' encoding="{encoding}"'
    text = f'<?xml version="1.0"{stated}?>\n{xml(thing("车牌", bndbox(10, 20, 70, 60)))}'
    dataset = formats.read(voc(tmp_path, {"a": text.encode(encoding)}))
    assert dataset.names == ["车牌"] and dataset.findings == []
    assert dataset.splits["train"][0].lines.tolist() == [3]


@pytest.mark.parametrize(
    ("objects", "finding", "line", "boxes"),
    [
        (CAR + thing("plate", ""), "labels.fields", 3, 1),
        (CAR + thing("", bndbox(1, 2, 3, 4)), "labels.fields", 3, 1),
        (CAR + thing("plate", "<bndbox><xmin>1</xmin></bndbox>"), "labels.fields", 3, 1),
        (CAR + thing("plate", bndbox(1, 2, "three", 4)), "labels.not_a_number", 3, 1),
        (CAR + thing("plate", bndbox(1, 2, "nan", 4)), "labels.not_finite", 3, 1),
        (CAR + thing("plate", bndbox(1, 2, 1, 4)), "labels.zero_size", 3, 1),
        (CAR + thing("plate", bndbox(1000, 2, 1010, 4)), "boxes.outside", 3, 1),
        (CAR + thing("plate", bndbox(50, 50, 40, 45)), "labels.corners_swapped", 3, 2),
        (thing("car", bndbox(10, 20, 70, 60), "<has_carplate>1</has_carplate>"), "labels.fields", 2, 1),
        (thing("car", bndbox(10, 20, 10, 60), CARPLATE), "pairs.lost", 2, 1),
        (CAR + thing("car", bndbox("x", 20, 10, 60), PLATE), "labels.not_a_number", 3, 2),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_read(
    objects: str, finding: str, line: int, boxes: int, tmp_path: Path
) -> None:
    dataset = one(tmp_path, objects)
    assert (finding, line) in [(each.id, each.line) for each in dataset.findings]
    assert len(dataset.splits["train"][0].labels) == boxes


def test_swapped_corners_are_put_in_order(tmp_path: Path) -> None:
    dataset = one(tmp_path, thing("plate", bndbox(50, 50, 40, 45)))
    assert dataset.splits["train"][0].boxes.tolist() == [[40, 45, 50, 50]]


def test_missing_pictures_and_labels_and_wrong_sizes(tmp_path: Path) -> None:
    voc(tmp_path, {stem: xml(CAR, f"{stem}.jpg") for stem in "abc"})
    picture(tmp_path / "JPEGImages" / "d.jpg")
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    (tmp_path / "Annotations" / "b.xml").write_text(xml(CAR, "b.jpg", (WIDTH + 1, HEIGHT)))
    (tmp_path / "JPEGImages" / "c.jpg").write_bytes(b"no picture")
    (tmp_path / "Annotations" / "e.xml").write_text("<html></html>")
    picture(tmp_path / "JPEGImages" / "e.jpg")
    assert sorted((each.id, Path(each.file).name) for each in formats.read(tmp_path).findings) == [
        ("labels.missing", "d.xml"),
        ("labels.no_picture", "a.xml"),
        ("labels.structure", "e.xml"),
        ("picture.size_mismatch", "b.jpg"),
        ("picture.unreadable", "c.jpg"),
    ]


def test_the_picture_is_the_one_that_the_xml_names(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "photo 1.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "label-1.xml").write_text(xml(CAR, r"C:\pictures\photo 1.png"))
    dataset = formats.read(tmp_path)
    assert [each.image.name for each in dataset.splits["train"]] == ["photo 1.png"]


def test_a_set_without_an_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not one object can be used"):
        one(tmp_path, "")


def test_forced_on_another_folder_it_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder Annotations of \.xml files"):
        formats.read(tmp_path, format="voc")
