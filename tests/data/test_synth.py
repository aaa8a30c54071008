"""Generated scenes: the same bytes from the same seed, labels that are true, statistics like the paper's data set."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from icr.data.synth import CLOSE, DEFAULT, SceneSettings, fittings, generate
from icr.data.synth.generate import label_rows, scene_settings
from icr.data.synth.layout import lay_out
from icr.data.synth.paint import paint
from icr.data.synth.scene import Scene
from icr.data.synth.sight import CLEAR
from icr.errors import InputError

TINY = replace(CLOSE, size=(192, 144), plate_width=18.0, plate_limits=(11.0, 40.0))


def digests(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def areas(scenes: list[Scene], label: int) -> np.ndarray:
    boxes = np.concatenate([scene.boxes[scene.labels == label] for scene in scenes])
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "set"
    generate(folder, counts={"train": 4, "val": 2}, seed=3, close=TINY, workers=1)
    return folder


@pytest.fixture(scope="module")
def default_scenes() -> list[Scene]:
    return [lay_out(DEFAULT, 0, "train", index) for index in range(60)]


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", counts={"train": 4, "val": 2}, seed=3, close=TINY, workers=2)
    assert digests(tmp_path / "again") == digests(small_set)


def test_another_seed_gives_other_pictures_and_labels(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", counts={"train": 1}, seed=4, close=TINY, workers=1)
    for file in ("images/train/train-00000.jpg", "labels/train/train-00000.txt"):
        assert (tmp_path / "other" / file).read_bytes() != (small_set / file).read_bytes()


def test_an_image_does_not_depend_on_how_many_there_are(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path / "fewer", counts={"train": 2}, seed=3, close=TINY, workers=1)
    file = "images/train/train-00001.jpg"
    assert (tmp_path / "fewer" / file).read_bytes() == (small_set / file).read_bytes()


def test_splits_differ() -> None:
    train, val = lay_out(CLOSE, 0, "train", 0), lay_out(CLOSE, 0, "val", 0)
    assert train.boxes.shape != val.boxes.shape or not np.allclose(train.boxes, val.boxes)


def test_labels_do_not_change_when_the_drawing_does(small_set: Path) -> None:
    """The layout is drawn from random numbers of its own: what the files say is what it says without a picture."""
    for index in range(4):
        rows = (small_set / f"labels/train/train-{index:05d}.txt").read_text().splitlines()
        assert rows == label_rows(lay_out(TINY, 3, "train", index))


def test_files_lie_in_the_layout_of_yolo(small_set: Path) -> None:
    assert (small_set / "data.yaml").read_text().splitlines()[1:] == [
        "train: images/train",
        "val: images/val",
        "names:",
        "  0: plate",
        "  1: vehicle",
        "relations:",
        "  - {child: plate, parent: vehicle}",
    ]
    stems = {path.stem for path in (small_set / "images/train").iterdir()}
    assert stems == {f"train-{index:05d}" for index in range(4)}
    for kind in ("labels", "pairs"):
        assert {path.stem for path in (small_set / kind / "train").iterdir()} == stems
    with Image.open(small_set / "images/train/train-00000.jpg") as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (192, 144))
    assert [path.name for path in small_set.parent.iterdir()] == ["set"], "the temporary folder is gone"


def test_the_sidecar_names_each_plate_and_the_vehicle_that_holds_it(small_set: Path) -> None:
    for sidecar in (small_set / "pairs").rglob("*.txt"):
        rows = (small_set / "labels" / sidecar.parent.name / sidecar.name).read_text().splitlines()
        boxes = [[float(value) for value in row.split()] for row in rows]
        pairs = [tuple(map(int, line.split())) for line in sidecar.read_text().splitlines()]
        assert sorted(child for child, _ in pairs) == [row for row, box in enumerate(boxes) if box[0] == 0]
        assert len({parent for _, parent in pairs}) == len(pairs), "no vehicle has two plates"
        for child, parent in pairs:
            assert boxes[parent][0] == 1
            for axis in (1, 2):
                distance = abs(boxes[child][axis] - boxes[parent][axis])
                assert distance + boxes[child][axis + 2] / 2 <= boxes[parent][axis + 2] / 2 + 2e-6


def test_the_manifest_tells_what_was_made(small_set: Path) -> None:
    manifest = json.loads((small_set / "manifest.json").read_text())
    assert manifest["seed"] == 3
    assert manifest["counts"] == {"train": 4, "val": 2, "test": 0}
    assert manifest["settings"]["size"] == [192, 144]
    assert manifest["versions"]["numpy"] == np.__version__
    assert [entry["light"] for entry in manifest["images"]] == ["day", "night"] * 3
    entry = manifest["images"][0]
    labels = (small_set / "labels/train/train-00000.txt").read_bytes()
    pairs = (small_set / "pairs/train/train-00000.txt").read_bytes()
    assert entry["sha256"] == hashlib.sha256(labels + b"\n" + pairs).hexdigest()
    assert entry["objects"]["plate"] == entry["pairs"] == len(pairs.splitlines())
    assert entry["size"] == [192, 144]
    assert str(small_set.parent) not in (small_set / "manifest.json").read_text(), "no absolute paths"


def test_default_scenes_are_as_numerous_and_as_small_as_the_paper_says(default_scenes: list[Scene]) -> None:
    """SVMLP: 2.96 plates an image, 1 to 10; 53 % small and 43 % medium plates, 12 % medium vehicles; from 36 px²."""
    counts = np.array([len(scene.pairs) for scene in default_scenes])
    assert counts.min() >= 1 and counts.max() <= 10
    assert 2.3 <= counts.mean() <= 3.6
    plates, vehicles = areas(default_scenes, 0), areas(default_scenes, 1)
    assert plates.min() >= 36
    assert 0.40 <= (plates < 32**2).mean() <= 0.66
    assert 0.30 <= ((plates >= 32**2) & (plates < 96**2)).mean() <= 0.58
    assert 0.04 <= (vehicles < 96**2).mean() <= 0.26
    assert (vehicles >= 32**2).all()


def test_vehicles_overlap_and_every_labelled_one_has_a_plate(default_scenes: list[Scene]) -> None:
    overlapping = 0
    for scene in default_scenes:
        boxes = scene.boxes[scene.labels == 1]
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        overlapping += int(((high > low).all(axis=2).sum() - len(boxes)) > 0)
    assert overlapping > 15
    assert all(int((scene.labels == 1).sum()) == len(scene.pairs) for scene in default_scenes)


def test_vehicles_without_a_visible_plate_come_when_asked_for() -> None:
    scenes = [lay_out(SceneSettings(hidden=1.0), 0, "train", index) for index in range(12)]
    assert sum(int((scene.labels == 1).sum()) - len(scene.pairs) for scene in scenes) > 3


def test_half_the_scenes_are_nights_and_look_it() -> None:
    for index, light in enumerate(("day", "night")):
        scene = lay_out(CLOSE, 0, "test", index)
        picture, quality = paint(scene, CLOSE, 0, "test", index)
        assert scene.light == light
        assert CLOSE.quality[0] <= quality <= CLOSE.quality[1]
        sky = np.asarray(picture)[: int(scene.camera.horizon) // 4].mean()
        assert (sky > 110) == (light == "day")


def test_close_plates_have_the_size_that_a_small_network_can_learn() -> None:
    """At 192 px, half of the close scenes' width: 9 to 37 px wide, 3 to 12 px high."""
    scenes = [lay_out(CLOSE, 0, "train", index) for index in range(60)]
    boxes = np.concatenate([scene.boxes[scene.labels == 0] for scene in scenes]) / 2
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    assert width.min() >= 8.5 and width.max() <= 38
    assert height.min() >= 2.7 and height.max() <= 13
    assert {len(scene.pairs) for scene in scenes} == {1, 2}


def test_a_labelled_plate_is_where_it_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels that differ when no plate is painted are those of the label; its frame stands out a little."""
    settings = replace(CLOSE, plates=(1, 1), mean_plates=1, plate_width=60.0, blur=0)
    numbers = range(0, 24, 2)
    scenes = [lay_out(settings, 1, "train", number) for number in numbers]
    whole = [paint(scene, settings, 1, "train", number)[0] for scene, number in zip(scenes, numbers, strict=True)]
    monkeypatch.setattr(fittings, "plate", lambda work, frame: None)
    for scene, number, picture in zip(scenes, numbers, whole, strict=True):
        bare, _ = paint(scene, settings, 1, "train", number)
        found = ImageChops.difference(picture, bare).convert("L").point(lambda value: 255 * (value > 24)).getbbox()
        assert found == pytest.approx(tuple(scene.boxes[scene.pairs[0][0]]), abs=2.6)


def test_no_labelled_plate_is_covered_by_a_nearer_vehicle(default_scenes: list[Scene]) -> None:
    """Recomputed pixel by pixel with Pillow's polygons instead of the layout's sample points."""
    for scene in default_scenes[:25]:
        shown = {tuple(scene.boxes[child]) for child, _ in scene.pairs}
        for number, vehicle in enumerate(scene.vehicles):
            box = np.concatenate([vehicle.quad.min(axis=0), vehicle.quad.max(axis=0)])
            mask = Image.new("L", scene.size)
            for nearer in scene.vehicles[number + 1 :]:
                ImageDraw.Draw(mask).polygon([tuple(point) for point in nearer.outline.tolist()], fill=1)
            left, top, right, bottom = np.round(box).astype(int)
            if right < 0 or bottom < 0 or left > scene.size[0] or top > scene.size[1]:
                assert tuple(box) not in shown
                continue
            covered = float(np.asarray(mask)[top:bottom, left:right].mean())
            assert (tuple(box) in shown) == (covered < 1 - CLEAR + 0.12)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(96, 1600), st.integers(96, 1200)).filter(lambda size: 0.5 <= size[0] / size[1] <= 3),
    seed=st.integers(0, 2**31),
    index=st.integers(0, 10**6),
    most=st.integers(1, 10),
    lures=st.floats(0, 1),
    hidden=st.floats(0, 1),
)
def test_every_layout_keeps_its_promises(
    size: tuple[int, int], seed: int, index: int, most: int, lures: float, hidden: float
) -> None:
    usual = SceneSettings()
    asked = replace(usual, plates=(1, most), mean_plates=min(usual.mean_plates, most), lures=lures, hidden=hidden)
    scene = lay_out(scene_settings(size, asked), seed, "train", index)
    assert scene.size == size
    assert 1 <= len(scene.pairs) <= most
    assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= np.array(size)).all()
    assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
    for child, parent in scene.pairs:
        assert (scene.labels[child], scene.labels[parent]) == (0, 1)
        assert (scene.boxes[child, :2] >= scene.boxes[parent, :2]).all()
        assert (scene.boxes[child, 2:] <= scene.boxes[parent, 2:]).all()
    assert (areas([scene], 0) >= asked.min_plate_area).all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": (20, 20)}, "size is 20x20"),
        ({"size": (1280, 200)}, "size is 1280x200"),
        ({"plates": (0, 3)}, "plates is"),
        ({"plates": (4, 2)}, "plates is"),
        ({"mean_plates": 11}, "mean_plates is 11"),
        ({"plate_limits": (200.0, 300.0)}, "plate_width is"),
        ({"lures": 1.5}, "lures is 1.5"),
        ({"kinds": (0, 0, 0, 0)}, "kinds is"),
        ({"quality": (90, 70)}, "quality is"),
        ({"noise": -1}, "noise is -1"),
        ({"blur": float("nan")}, "blur is nan"),
    ],
)
def test_settings_that_make_no_scene_are_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        replace(DEFAULT, **change)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"counts": {"train": 0}}, "counts are"),
        ({"counts": {"train": -1, "val": 3}}, "counts are"),
        ({"counts": {"training": 3}}, "'training' is unknown"),
        ({"counts": {"train": 1}, "seed": -1}, "seed is -1"),
        ({"counts": {"train": 1}, "workers": 0}, "workers is 0"),
    ],
)
def test_arguments_that_make_no_set_are_refused(tmp_path: Path, arguments: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        generate(tmp_path / "new", close=TINY, **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_an_interrupt_stops_the_workers_and_keeps_what_is_drawn(tmp_path: Path, small_set: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "new", counts={"train": 4, "val": 2}, seed=3, close=TINY, workers=2, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [".new.partial"]
    generate(tmp_path / "new", counts={"train": 4, "val": 2}, seed=3, close=TINY, workers=2)
    assert digests(tmp_path / "new") == digests(small_set)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        generate(tmp_path / "file" / "new", counts={"train": 1}, close=TINY, workers=1)


def test_a_script_that_forgot_its_guard_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "careless.py"
    script.write_text(
        "from pathlib import Path\nfrom icr.data.synth import CLOSE, generate\n"
        "generate(Path(__file__).parent / 'new', counts={'train': 2}, close=CLOSE, workers=2)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "InputError: the processes that draw ended at once" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["careless.py"]


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate(
        tmp_path / "new",
        counts={"test": 3},
        close=TINY,
        workers=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_settings_that_nothing_fits_are_refused() -> None:
    crowd = replace(CLOSE, plates=(10, 10), mean_plates=10, plate_width=190.0, plate_limits=(190.0, 190.0))
    with pytest.raises(InputError, match="no scene of 384x288 pixels fits"):
        lay_out(crowd, 0, "train", 0)


def test_settings_grow_with_the_picture() -> None:
    grown = scene_settings((2560, 1440), False)
    assert grown.plate_width == pytest.approx(2 * DEFAULT.plate_width)
    assert grown.census is not None and DEFAULT.census is not None
    assert [area for _, area in grown.census.areas] == pytest.approx([4 * area for _, area in DEFAULT.census.areas])
    assert scene_settings(None, True) is CLOSE
