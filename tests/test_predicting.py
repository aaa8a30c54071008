"""Prediction folders, with a detector that finds what is red and what is blue."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from icr.errors import InputError
from icr.predicting import Summary, find, relations_of, run
from icr.predicting.video import VideoWriter, frames, length
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

NAMES = ["plate", "vehicle"]
RELATIONS = (ResolvedRelation(0, (1,)),)
GREY, RED, BLUE = (90, 90, 90), (230, 20, 20), (20, 20, 230)
CAR, PLATE = (40, 30, 140, 110), (70, 80, 100, 96)


class ColourDetector:
    """Finds the frame of all red (a plate) and of all blue (a vehicle), with scores 0.9 and 0.8."""

    names = NAMES

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def predict(
        self,
        images: Sequence[Path | npt.NDArray[np.uint8]],
        *,
        imgsz: int | None = None,
        conf: float = 0.001,
        iou: float = 0.7,
        max_det: int = 300,
        batch: int = 16,
    ) -> Iterator[Predictions]:
        self.asked.append({"imgsz": imgsz, "conf": conf, "iou": iou})
        for image in images:
            assert isinstance(image, np.ndarray)
            red, blue = image[..., 0].astype(int), image[..., 2].astype(int)
            found = []
            for label, score, seen in ((0, 0.9, red - blue > 90), (1, 0.8, blue - red > 90)):
                if seen.any() and score >= conf:
                    y, x = np.nonzero(seen)
                    found.append(([x.min(), y.min(), x.max() + 1, y.max() + 1], score, label))
            yield Predictions(
                np.array([box for box, _, _ in found], float).reshape(-1, 4),
                np.array([score for _, score, _ in found], float),
                np.array([label for _, _, label in found], np.int64),
            )


def _scene(car: tuple[int, ...] | None = CAR, plate: tuple[int, ...] | None = PLATE) -> Image.Image:
    picture = Image.new("RGB", (200, 140), GREY)
    if car:
        picture.paste(BLUE, car)
    if plate:
        picture.paste(RED, plate)
    return picture


def _predict(tmp_path: Path, words: Sequence[Path | str], **options: Any) -> tuple[list[dict[str, Any]], Summary, Path]:
    out = tmp_path / "out"
    summary = run(ColourDetector(), find([str(word) for word in words]), RELATIONS, out, **options)
    return json.loads((out / "predictions.json").read_text(encoding="utf-8")), summary, out


def test_a_picture_with_a_plate_on_a_car(tmp_path: Path) -> None:
    _scene().save(tmp_path / "a.png")
    (entry,), summary, out = _predict(tmp_path, [tmp_path / "a.png"])
    assert entry == {
        "image": str(tmp_path / "a.png"),
        "width": 200,
        "height": 140,
        "boxes": [list(PLATE), list(CAR)],
        "scores": [0.9, 0.8],
        "labels": [0, 1],
        "names": ["plate", "vehicle"],
        "parents": [1, -1],
        "annotated": "a.jpg",
    }
    assert (summary.pictures, summary.boxes, summary.pairs, summary.orphans, summary.unreadable) == (1, 2, 1, 0, [])
    before, after = np.asarray(_scene()).astype(int), np.asarray(Image.open(out / "a.jpg")).astype(int)
    assert before.shape == after.shape
    assert abs(before - after).max() > 100


def test_an_orphan_and_a_picture_without_anything(tmp_path: Path) -> None:
    _scene(car=(120, 10, 190, 60)).save(tmp_path / "a.png")
    _scene(car=None, plate=None).save(tmp_path / "b.png")
    entries, summary, out = _predict(tmp_path, [tmp_path / "a.png", tmp_path / "b.png"])
    assert entries[0]["parents"] == [-1, -1]
    assert entries[1]["boxes"] == entries[1]["parents"] == []
    assert (summary.pictures, summary.pairs, summary.orphans) == (2, 0, 1)
    # A picture without a box is written all the same, as it was.
    assert np.abs(np.asarray(Image.open(out / "b.jpg")).astype(int) - GREY).max() < 4


def test_the_settings_reach_the_detector(tmp_path: Path) -> None:
    _scene().save(tmp_path / "a.png")
    detector = ColourDetector()
    summary = run(detector, find([str(tmp_path / "a.png")]), RELATIONS, tmp_path / "out", conf=0.85, iou=0.4, imgsz=96)
    assert detector.asked == [{"imgsz": 96, "conf": 0.85, "iou": 0.4}]
    assert (summary.boxes, summary.orphans) == (1, 1)


def test_without_relations_nothing_has_a_parent(tmp_path: Path) -> None:
    _scene().save(tmp_path / "a.png")
    summary = run(ColourDetector(), find([str(tmp_path / "a.png")]), (), tmp_path / "out")
    assert (summary.boxes, summary.pairs, summary.orphans) == (2, 0, 0)


def test_boxes_fit_the_picture_as_a_person_sees_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter to the right
    _scene().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    (entry,), _, out = _predict(tmp_path, [tmp_path / "turned.jpg"])
    assert (entry["width"], entry["height"]) == (200, 140)
    assert np.abs(np.array(entry["boxes"]) - [PLATE, CAR]).max() <= 2
    written = Image.open(out / "turned.jpg")
    assert written.size == (200, 140)
    assert not written.getexif().get(0x0112)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_kind_of_picture_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    if mode == "I;16":
        deep = (np.asarray(_scene().convert("L")).astype(np.uint16) << 8).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / "a.png")
    else:
        _scene().convert(mode).save(tmp_path / f"a{suffix}")
    (entry,), summary, _ = _predict(tmp_path, [tmp_path / f"a{suffix}"])
    assert not summary.unreadable
    # Colour survives where the mode has any.
    assert len(entry["boxes"]) == (2 if mode in ("RGBA", "P", "CMYK") else 0)


def test_what_cannot_be_read_is_named_and_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    _scene().save(folder / "good.jpg", quality=95)
    whole = (folder / "good.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture", encoding="utf-8")
    (folder / "noise.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
    (folder / "film.mp4").write_text("this is no film", encoding="utf-8")
    (folder / "notes.txt").write_text("not looked at", encoding="utf-8")
    entries, summary, out = _predict(tmp_path, [folder])
    assert [Path(entry["image"]).name for entry in entries] == ["good.jpg"]
    told = {Path(line.split(": ")[0]).name: line for line in summary.unreadable}
    assert set(told) == {"cut.jpg", "empty.jpg", "text.jpg", "noise.png", "film.mp4"}
    assert "it is empty" in told["empty.jpg"]
    assert all("\n" not in line for line in summary.unreadable)
    assert sorted(path.name for path in out.iterdir()) == ["good.jpg", "predictions.json"]


def test_a_folder_of_nothing_readable_leaves_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"")
    entries, summary, _ = _predict(tmp_path, [tmp_path / "bad.jpg"])
    assert entries == [] and summary.pictures == 0 and len(summary.unreadable) == 1


def test_names_with_blanks_and_chinese_and_brackets(tmp_path: Path) -> None:
    for name in ("my street 1.png", "车牌 京A.png", "track0001[01].png"):
        _scene().save(tmp_path / name)
    entries, _, out = _predict(tmp_path, sorted(tmp_path.glob("*.png")))
    assert [entry["annotated"] for entry in entries] == ["my street 1.jpg", "track0001[01].jpg", "车牌 京A.jpg"]
    assert all((out / entry["annotated"]).is_file() for entry in entries)


def test_no_annotated_picture_takes_anothers_name(tmp_path: Path) -> None:
    for place in ("one/a.png", "one/a.bmp", "two/A.png", "one/deep/a.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        _scene().save(tmp_path / place)
    entries, _, out = _predict(tmp_path, [tmp_path / "one", tmp_path / "two"])
    assert [entry["annotated"] for entry in entries] == ["a.jpg", "a-2.jpg", "deep/a.jpg", "A-3.jpg"]
    assert all((out / entry["annotated"]).is_file() for entry in entries)


def test_crops_hold_the_parent_and_its_child(tmp_path: Path) -> None:
    # The plate hangs out of its car by 4 pixels.
    _scene(plate=(70, 102, 100, 114)).save(tmp_path / "a.png")
    (entry,), _, out = _predict(tmp_path, [tmp_path / "a.png"], crops=True)
    (crop,) = entry["crops"]
    assert crop == {"file": "crops/a-0.jpg", "child": 0, "parent": 1, "box": [40, 30, 140, 114]}
    cut = np.asarray(Image.open(out / crop["file"])).astype(int)
    assert cut.shape == (84, 100, 3)
    # No line or frame is drawn on it.
    assert np.abs(cut[5:60, 5:-5] - BLUE).max() < 30


def _write_film(path: Path, count: int = 12, rate: int = 5) -> None:
    with VideoWriter(path) as film:
        for index in range(count):
            shift = 3 * index
            car = (CAR[0] + shift, CAR[1], CAR[2] + shift, CAR[3])
            plate = (PLATE[0] + shift, PLATE[1], PLATE[2] + shift, PLATE[3])
            film.write(np.asarray(_scene(car, plate)), index / rate)


def test_a_video_gives_an_entry_a_frame_and_an_annotated_video(tmp_path: Path) -> None:
    _write_film(tmp_path / "drive.mp4")
    ticks: list[None] = []
    entries, summary, out = _predict(
        tmp_path, [tmp_path / "drive.mp4"], batch=5, crops=True, seen=lambda: ticks.append(None)
    )
    assert [entry["frame"] for entry in entries] == list(range(12))
    assert [entry["seconds"] for entry in entries] == pytest.approx([index / 5 for index in range(12)], abs=1e-3)
    assert all(entry["parents"] == [1, -1] for entry in entries)
    assert np.abs(np.array(entries[7]["boxes"][1]) - (CAR[0] + 21, CAR[1], CAR[2] + 21, CAR[3])).max() <= 2
    assert entries[7]["crops"][0]["file"] == "crops/drive/000007-0.jpg"
    assert summary.pictures == 12 and summary.pairs == 12 and len(ticks) == 12
    again = list(frames(out / "drive.mp4"))
    assert [frame.seconds for frame in again] == pytest.approx([index / 5 for index in range(12)], abs=1e-3)
    assert np.abs(again[0].picture.astype(int) - np.asarray(_scene())).max() > 80
    assert length(out / "drive.mp4") == 12


def test_a_video_that_is_cut_short_gives_what_it_holds(tmp_path: Path) -> None:
    import av

    # MPEG-TS, unlike MP4, needs no index at its end, so its first half can be read.
    with av.open(str(tmp_path / "whole.ts"), "w", format="mpegts") as film:
        stream = film.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 200, 140, "yuv420p"
        for _ in range(40):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(_scene()), format="rgb24")))
        film.mux(stream.encode())
    data = (tmp_path / "whole.ts").read_bytes()
    (tmp_path / "cut.ts").write_bytes(data[: len(data) // 2])
    _write_film(tmp_path / "index.mp4")
    (tmp_path / "lost.mp4").write_bytes((tmp_path / "index.mp4").read_bytes()[:1500])
    entries, summary, _ = _predict(tmp_path, [tmp_path / "cut.ts", tmp_path / "lost.mp4"])
    assert 0 < len(entries) < 40
    assert any("lost.mp4" in line for line in summary.unreadable)


def test_odd_sizes_are_written_too(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "odd.mp4") as film:
        for index in range(3):
            film.write(np.full((51, 77, 3), 100, np.uint8), index / 10)
    assert next(frames(tmp_path / "odd.mp4")).picture.shape == (50, 76, 3)


def test_a_video_taken_upright_is_read_upright(tmp_path: Path) -> None:
    picture = np.full((96, 160, 3), GREY, np.uint8)
    picture[:40, :60] = RED
    with VideoWriter(tmp_path / "phone.mp4") as film:
        film.write(picture, 0.0)
    data = bytearray((tmp_path / "phone.mp4").read_bytes())
    # The track header's matrix as phones write it: to be shown turned a quarter to the right.
    start = data.index(b"tkhd") + 4 + 40
    matrix = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[start : start + 36] = struct.pack(">9i", *matrix)
    (tmp_path / "phone.mp4").write_bytes(data)
    shown = next(frames(tmp_path / "phone.mp4")).picture.astype(int)
    assert shown.shape == (160, 96, 3)
    # The upper left corner has become the upper right one.
    assert np.abs(shown[10:50, 65:90] - RED).mean() < 30
    assert np.abs(shown[100:, :50] - GREY).mean() < 10


def test_pictures_and_videos_keep_their_order(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        _scene().save(tmp_path / name)
    _write_film(tmp_path / "b.mp4", count=2)
    entries, _, _ = _predict(tmp_path, [tmp_path / name for name in ("a.png", "b.mp4", "c.png")])
    assert [Path(entry["image"]).name for entry in entries] == ["a.png", "b.mp4", "b.mp4", "c.png"]


def test_an_interrupted_run_leaves_a_list_that_can_be_read(tmp_path: Path) -> None:
    for index in range(4):
        _scene().save(tmp_path / f"{index}.png")

    done = iter(range(1, 5))

    def stop() -> None:
        if next(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(ColourDetector(), find([str(tmp_path / "*.png")]), RELATIONS, tmp_path / "out", seen=stop)
    assert len(json.loads((tmp_path / "out/predictions.json").read_text())) == 3


class TestOutFolder:
    def test_nothing_is_written_over(self, tmp_path: Path) -> None:
        _scene().save(tmp_path / "a.png")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious.txt").write_text("mine")
        with pytest.raises(InputError, match="exists and is not empty"):
            run(ColourDetector(), find([str(tmp_path / "a.png")]), RELATIONS, tmp_path / "out")
        with pytest.raises(InputError, match="is no folder"):
            run(ColourDetector(), find([str(tmp_path / "a.png")]), RELATIONS, tmp_path / "a.png")

    def test_an_empty_folder_will_do(self, tmp_path: Path) -> None:
        _scene().save(tmp_path / "a.png")
        (tmp_path / "out").mkdir()
        assert _predict(tmp_path, [tmp_path / "a.png"])[1].pictures == 1


class TestFinding:
    def test_each_file_once_in_the_order_given(self, tmp_path: Path) -> None:
        for name in ("b.jpg", "a.png", ".hidden.png", "sub/c.JPG", ".git/d.png", "e.txt", "f.MP4"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        found = find([str(tmp_path / "b.jpg"), str(tmp_path), str(tmp_path / "*.png"), str(tmp_path / "e.txt")])
        assert [each.name.as_posix() for each in found] == ["b", "a", "f", "sub/c", "e"]
        assert [each.video for each in found] == [False, False, True, False, False]

    def test_patterns_reach_down(self, tmp_path: Path) -> None:
        for name in ("a/x.jpg", "b/c/y.jpg", "b/z.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).touch()
        assert [each.path.name for each in find([str(tmp_path / "**/*.jpg")])] == ["x.jpg", "y.jpg"]

    @pytest.mark.parametrize(
        ("word", "told"),
        [("absent.jpg", "no such file or folder"), ("*.jpg", "no file matches"), ("bare", "no picture and no video")],
    )
    def test_what_matches_nothing_is_refused(self, tmp_path: Path, word: str, told: str) -> None:
        (tmp_path / "bare").mkdir()
        with pytest.raises(InputError, match=told):
            find([str(tmp_path / word)])


RECORD = {"relations": [{"child": "plate", "parent": ["vehicle"], "weight": 2.5}]}


class TestRelations:
    def test_what_is_given_comes_first(self) -> None:
        relations, said = relations_of(["vehicle:plate"], RECORD, NAMES)
        assert [(each.child, each.parents) for each in relations] == [(1, (0,))]
        assert "--relation" in said

    def test_then_what_the_detector_was_trained_with(self) -> None:
        relations, said = relations_of([], RECORD, NAMES)
        assert [(each.child, each.parents) for each in relations] == [(0, (1,))]
        assert "plate:vehicle" in said and "run.json" in said

    @pytest.mark.parametrize("record", [None, {}, {"relations": []}])
    def test_else_none_which_is_said(self, record: object) -> None:
        relations, said = relations_of([], record, NAMES)
        assert relations == () and "no relation is known" in said

    def test_a_wrong_class_is_refused(self) -> None:
        with pytest.raises(InputError, match="did you mean 'plate'"):
            relations_of(["plte:vehicle"], None, NAMES)
