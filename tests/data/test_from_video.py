"""Frames from videos made here: scenes by day and night, still stretches, blurred ones, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from icr.cli.commands import run
from icr.data import formats
from icr.data.video import VideoSettings, extract
from icr.data.video.blur import blur
from icr.data.video.hashing import distances, perceptual_hash
from icr.data.video.light import brightness
from icr.data.video.sampling import Video, VideoError, describe, moments, shots
from icr.data.video.scanning import Measured
from icr.data.video.selection import Candidate, assign, screen, take, wanted
from icr.errors import InputError
from icr.relations import Relation

av = pytest.importorskip("av", reason="PyAV is not installed")

WIDE, HIGH, RATE, STILL = 320, 192, 8, 10
Frame = npt.NDArray[np.uint8]


def scene(seed: int, light: str) -> Frame:
    """A place like no other: a sky, a ground, blocks of any colour in front of them, and lamps at night."""
    rng = np.random.default_rng(seed)
    bright = 1.0 if light == "day" else 0.3
    picture = np.empty((HIGH, WIDE, 3))
    picture[: HIGH // 2] = rng.uniform(150, 230) if light == "day" else rng.uniform(5, 25)
    picture[HIGH // 2 :] = rng.uniform(60, 130) * bright
    for _ in range(60):
        x, y = rng.integers(0, WIDE - 8), rng.integers(HIGH // 4, HIGH - 8)
        wide, high = rng.integers(8, 70, 2)
        picture[y : y + high, x : x + wide] = rng.uniform(0, 255, 3) * bright
    if light == "night":
        for x, y in rng.integers(0, (WIDE - 6, HIGH - 6), (25, 2)):
            picture[y : y + 6, x : x + 6] = 250
    return picture.astype(np.uint8)


def smeared(picture: Frame) -> Frame:
    """A picture as a shaken camera takes it."""
    moved = [np.roll(picture, step, 1).astype(float) for step in range(24)]
    return np.mean(moved, 0).astype(np.uint8)


def write_video(path: Path, stretches: Sequence[Frame], *, each: int = STILL, seed: int = 0) -> Path:
    """Write each picture as a stretch of `each` frames that differ in noise alone."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDE, HIGH, "yuv420p", 4_000_000
        stream.options = {"preset": "ultrafast", "g": "24"} if codec == "libx264" else {}
        for index, picture in enumerate(picture for picture in stretches for _ in range(each)):
            noisy = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


RECORDINGS = {"one": "ddd", "two": "nnn", "three": "ddn", "four": "nnd", "five": "dn", "six": "nd"}
"""Scenes of each video, by light."""

COUNTS = {"train": 6, "val": 2, "test": 2}


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of two or three places each, two with a blurred stretch; a repeat of one place; files beside them."""
    folder = tmp_path_factory.mktemp("drives")
    for number, (name, lights) in enumerate(RECORDINGS.items()):
        stretches = [
            scene(10 * number + place, {"d": "day", "n": "night"}[light]) for place, light in enumerate(lights)
        ]
        if name in ("one", "two"):
            stretches[1:1] = [smeared(stretches[0])] * 3
        if name == "six":
            stretches.append(scene(0, "day"))  # video one was here, too
        write_video(folder / f"{name}.mp4", stretches, seed=number)
    (folder / "zz-copy.mp4").write_bytes((folder / "one.mp4").read_bytes())
    (folder / "broken.mp4").write_bytes(b"this is no video")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def result(drives: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    """What becomes of them, and what is said meanwhile."""
    said: list[str] = []
    out = tmp_path_factory.mktemp("result") / "frames"
    return out, extract([str(drives)], out, VideoSettings(COUNTS), say=said.append), said


def luma_of(file: Path) -> npt.NDArray[np.float32]:
    return np.asarray(Image.open(file).convert("L"), np.float32)


def test_counts_are_as_asked_and_half_of_each_split_is_night(result: tuple[Path, dict[str, Any], list[str]]) -> None:
    out, report, _ = result
    for split, count in COUNTS.items():
        files = sorted((out / "images" / split).iterdir())
        assert len(files) == count
        nights = [brightness(luma_of(file)) < 80 for file in files]
        assert sum(nights) == count // 2
        assert [file.name.startswith("night-") for file in files] == nights
        assert report["splits"][split]["day"] == report["splits"][split]["night"] == count // 2
    assert report["taken"] == 10 and report["notes"] == []


def test_no_near_duplicates_are_kept(result: tuple[Path, dict[str, Any], list[str]], drives: Path) -> None:
    out, report, _ = result
    hashes = [perceptual_hash(luma_of(file)) for file in sorted(out.glob("images/*/*.jpg"))]
    assert min(distances(one, other[None])[0] for one, other in combinations(hashes, 2)) > 0.25
    # No place gives more than one frame, nor does the one that is in two videos.
    assert report["taken"] <= report["usable"] <= sum(map(len, RECORDINGS.values()))
    assert report["repeated"] > report["usable"]


def test_what_is_known_of_the_frames_outlives_labelling(
    result: tuple[Path, dict[str, Any], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Light and video stay with the pictures on their way through an annotation tool, and splits go by video."""
    frames, cvat, back = result[0], tmp_path / "cvat", tmp_path / "back"
    assert run(["data", "convert", str(frames / "data.yaml"), "--to", "cvat", "--out", str(cvat)]) == 0
    assert run(["data", "convert", str(cvat), "--to", "yolo", "--out", str(back)]) == 0
    told = {
        Path(each["image"]).name: (each["light"], each["video"])
        for each in json.loads((frames / "manifest.json").read_text())["images"]
    }
    again = [sample for samples in formats.read(back).splits.values() for sample in samples]
    assert {each.image.name: (each.attributes["light"], each.attributes["video"]) for each in again} == told
    for number, source in enumerate((frames, back)):
        capsys.readouterr()
        out = tmp_path / f"new-{number}"
        assert run(["data", "split", str(source), "--ratios", "train=0.5,val=0.5", "--out", str(out)]) == 0
        said = capsys.readouterr().err
        assert "groups: the video that the data states" in said and "faulty" not in said
        split_of = {
            split: {told[each.image.name][1] for each in part} for split, part in formats.read(out).splits.items()
        }
        assert not split_of["train"] & split_of["val"]


def test_a_file_that_is_named_and_no_video_is_told(drives: Path, tmp_path: Path) -> None:
    said: list[str] = []
    sources = [str(drives / name) for name in ("notes.txt", "one.mp4")]
    extract(sources, tmp_path / "out", VideoSettings({"train": 1, "val": 0, "test": 0}), say=said.append)
    assert [each for each in said if "notes.txt: left out, its name is no video's" in each]


def test_no_recording_spans_two_splits(result: tuple[Path, dict[str, Any], list[str]]) -> None:
    out, report, _ = result
    splits: dict[str, set[str]] = {}
    for each in json.loads((out / "manifest.json").read_text())["images"]:
        assert (out / each["image"]).is_file()
        splits.setdefault(each["recording"], set()).add(each["split"])
    assert all(len(each) == 1 for each in splits.values())
    assert {each["video"]: each["split"] for each in report["videos"] if each["taken"]} == {
        recording: next(iter(each)) for recording, each in splits.items()
    }


def test_blurred_frames_are_dropped(result: tuple[Path, dict[str, Any], list[str]]) -> None:
    out, report, _ = result
    by_video = {each["video"]: each["blurred"] for each in report["videos"]}
    assert by_video["one"] > 0 and by_video["two"] > 0 and report["blurred"] == by_video["one"] + by_video["two"]
    assert max(blur(luma_of(file)) for file in out.glob("images/*/*.jpg")) < 0.5


def test_files_that_are_no_video_or_a_copy_are_named(result: tuple[Path, dict[str, Any], list[str]]) -> None:
    _, report, said = result
    assert said == report["faults"] and len(said) == 2
    assert "zz-copy.mp4: left out, it is the same as" in said[1] and said[1].endswith("one.mp4")
    assert "broken.mp4: left out, Invalid data" in said[0]


def test_the_folder_is_a_data_set_ready_to_be_labelled(result: tuple[Path, dict[str, Any], list[str]]) -> None:
    out, _, _ = result
    dataset = formats.read(out / "data.yaml")
    assert dataset.names == ["plate", "vehicle"] and dataset.relations == (Relation("plate", "vehicle"),)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == COUNTS
    assert all((sample.width, sample.height) == (WIDE, HIGH) for split in dataset.splits.values() for sample in split)
    assert sorted(each.name for each in out.iterdir()) == [
        "data.yaml", "dropped.jpg", "from-video.json", "images", "manifest.json", "report.json", "report.txt",
        "taken.jpg",
    ]  # fmt: skip
    for sheet in ("taken.jpg", "dropped.jpg"):
        assert min(Image.open(out / sheet).size) > 300


def tree(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


PROGRAM = f"""
import os, signal, sys
from pathlib import Path
from icr.data.video import VideoSettings, extract, extraction, scanning

module, name = {{"look": (scanning, "write_json"), "write": (extraction, "write_picture")}}[sys.argv[3]]
write = getattr(module, name)

def last(*args):
    write(*args)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, last)
extract([sys.argv[1]], Path(sys.argv[2]), VideoSettings({COUNTS!r}))
"""


def killed_while(doing: str, drives: Path, out: Path) -> bool:
    """Extract in a process that is killed with the first measurements (`look`) or picture (`write`) it has stored."""
    command = [sys.executable, "-c", PROGRAM, str(drives), str(out), doing]
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode == -signal.SIGKILL


def test_killed_it_goes_on_to_the_same_result(
    result: tuple[Path, dict[str, Any], list[str]], drives: Path, tmp_path: Path
) -> None:
    whole, report, _ = result
    out = tmp_path / "frames"
    assert killed_while("look", drives, out)
    measured = {each: each.stat().st_mtime_ns for each in out.glob("scan/*.json")}
    assert measured and not any(out.glob("images/*/*.jpg"))
    assert killed_while("write", drives, out)
    assert all(each.stat().st_mtime_ns == stamp for each, stamp in measured.items()), "nothing is measured twice"
    written = {each: each.stat().st_mtime_ns for each in out.glob("images/*/*.jpg")}
    assert extract([str(drives)], out, VideoSettings(COUNTS)) == report
    assert written and all(each.stat().st_mtime_ns == stamp for each, stamp in written.items())
    assert tree(out) == tree(whole)


def test_a_complete_folder_is_left_as_it_is(
    result: tuple[Path, dict[str, Any], list[str]], drives: Path, tmp_path: Path
) -> None:
    out, report, _ = result
    before, said = tree(out), list[str]()
    assert extract([str(drives)], out, VideoSettings(COUNTS), say=said.append) == report
    assert tree(out) == before and "complete" in said[-1]
    with pytest.raises(InputError, match="begun otherwise: seed was 0 and is now 1"):
        extract([str(drives)], out, VideoSettings(COUNTS, seed=1))
    with pytest.raises(InputError, match="the videos differ"):
        extract([str(drives / name) for name in ("one.mp4", "two.mp4", "three.mp4")], out, VideoSettings(COUNTS))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        extract([str(drives)], tmp_path, VideoSettings(COUNTS))


def test_another_seed_takes_other_frames(drives: Path, tmp_path: Path) -> None:
    extract([str(drives)], tmp_path / "a", VideoSettings({"train": 4}, seed=3))
    extract([str(drives)], tmp_path / "b", VideoSettings({"train": 4}, seed=4))
    assert tree(tmp_path / "a" / "images").keys() != tree(tmp_path / "b" / "images").keys()


def test_too_little_material_is_shared_out_and_said(
    drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "from-video", str(drives), "--out", str(tmp_path / "out"), "--relation", "helmet:rider"]
    assert run([*words, "--train", "80", "--val", "10", "--test", "10", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    taken = {split: each["taken"] for split, each in report["splits"].items()}
    assert taken["val"] == taken["test"] == 1 and 9 <= taken["train"] <= 13
    assert any("of 80 frames; more footage would fill it" in note for note in report["notes"])
    assert formats.read(tmp_path / "out" / "data.yaml").names == ["helmet", "rider"]


def test_by_day_alone(tmp_path: Path) -> None:
    for number in range(2):
        write_video(tmp_path / f"{number}.mp4", [scene(10 * number + place, "day") for place in range(3)], each=80)
    report = extract([str(tmp_path)], tmp_path / "out", VideoSettings({"train": 3, "test": 3}))
    assert [each["day"] for each in report["splits"].values()] == [3, 3]
    assert "train has 0 of 1 frames by night; the rest is day, for want of night footage" in report["notes"]
    assert report["notes"][-1] == "no usable frame was taken by night"
    assert report["looked_at"] <= 96, "looking on, without any night, is given up after two rounds"


def test_videos_of_a_folder_stay_together(tmp_path: Path) -> None:
    for number, name in enumerate(("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4")):
        write_video(
            tmp_path / name, [scene(10 * number + place, light) for place, light in enumerate(("day", "night"))]
        )
    settings = VideoSettings({"train": 4, "test": 4}, by="folder")
    report = extract([str(tmp_path)], tmp_path / "out", settings)
    by_folder = {each["video"]: each["split"] for each in report["videos"]}
    assert by_folder["a_1"] == by_folder["a_2"] != by_folder["b_1"] == by_folder["b_2"]
    assert report["taken"] == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--train", "0", "--val", "0", "--test", "0"], "come to 0 frames"),
        (["--train", "-1"], "--train is -1"),
        (["--by", "vidoe"], "did you mean 'video'"),
        (["--similar", "2"], "--similar is 2: expected 0 to 1"),
        (["--relation", "plate"], "plate"),
        ([], "1 video cannot fill 3 splits"),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], said: str, drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "from-video", str(drives / "one.mp4"), "--out", str(tmp_path / "out"), *words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_nothing_usable(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [np.full((HIGH, WIDE, 3), 90, np.uint8)])
    with pytest.raises(InputError, match=r"not one of .* frames can be used: .* are blurred"):
        extract([str(tmp_path / "a.mp4")], tmp_path / "out", VideoSettings({"train": 3}))
    (tmp_path / "b.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="no video can be read"):
        extract([str(tmp_path / "b.mp4")], tmp_path / "out2", VideoSettings({"train": 3}))


class TestReading:
    """Moments and the frames at them."""

    def test_a_jump_gives_the_frame_that_decoding_through_gives(self, tmp_path: Path) -> None:
        stretches = [scene(place, "day") for place in range(12)]
        path = write_video(tmp_path / "a.mp4", stretches, each=4 * RATE)
        every = [i / RATE for i in range(12 * 4 * RATE)]
        all_through = {shot.seconds: shot.rgb() for shot in shots(path, every, [])}
        assert len(all_through) == 12 * 4 * RATE
        for at in ([0.0, 20.0, 40.5], [47.8], [5.01, 5.02, 30.0]):
            found = list(shots(path, at, []))
            for shot in found:
                assert shot.seconds >= at[shot.place] > shot.seconds - 1 / RATE - 1e-9
                np.testing.assert_array_equal(shot.rgb(), all_through[shot.seconds])
        assert [shot.place for shot in found] == [0, 2], "a frame that serves two moments is given once"
        assert list(shots(path, [99.0], [])) == []

    def test_a_damaged_place_is_told_and_passed_over(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", [scene(place, "day") for place in range(8)], each=4 * RATE)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        faults: list[str] = []
        try:
            found = [shot.seconds for shot in shots(path, np.arange(0.5, 32, 1), faults)]
        except VideoError:
            return  # the index stands at the end, so nothing of the file can be read: that, too, is told
        assert found and max(found) < 32

    def test_a_video_without_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match="Invalid data"):
            (tmp_path / "a.mp4").write_bytes(b"\x00" * 5000)
            describe(tmp_path / "a.mp4", "a", "a")

    def test_moments_are_uniform_and_go_on_where_they_ended(self) -> None:
        video = Video(Path("a.mp4"), "a", "a", "ab12", 5.0, 100.0)
        drawn = moments(video, 0, 4000, 1)
        assert drawn.min() >= 5 and drawn.max() < 105 and (np.diff(drawn) >= 0).all()
        counts = np.histogram(drawn, 10, (5, 105))[0]
        assert counts.min() > 330 and counts.max() < 470
        assert set(moments(video, 100, 4000, 1)) < set(drawn)


def candidate(group: str, light: str, number: int, *, blur: float = 0.2) -> Candidate:
    """A frame with a hash that no other number shares."""
    bits = np.random.default_rng(number).integers(0, 256, 32, np.uint8).tobytes().hex()
    return Candidate(0, group, light, Measured(float(number), bits, blur, 100.0))  # type: ignore[arg-type]


def stock(**groups: tuple[int, int]) -> list[Candidate]:
    """So many frames by day and by night of each recording."""
    return [
        candidate(group, light, 1000 * place + 500 * (light == "night") + number)
        for place, (group, counts) in enumerate(groups.items())
        for light, count in zip(("day", "night"), counts, strict=True)
        for number in range(count)
    ]


class TestSelection:
    """Pure choices."""

    def test_the_one_way_to_fill_every_split_is_found(self) -> None:
        kept = stock(a=(6, 0), b=(0, 6), c=(3, 3), d=(3, 0), e=(0, 3))
        targets = {"train": 12, "val": 6, "test": 6}
        split_of = assign(kept, targets)
        chosen = take(kept, split_of, targets, 0)
        for split, count in targets.items():
            assert Counter(each.light for each in chosen[split]) == {"day": count // 2, "night": count // 2}

    @pytest.mark.parametrize("seed", range(5))
    def test_many_recordings_fill_every_split(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        kept = stock(**{f"v{place}": tuple(rng.integers(0, 9, 2).tolist()) for place in range(60)})
        targets = wanted({"train": 80, "val": 10, "test": 10}, len(kept))
        chosen = take(kept, assign(kept, targets), targets, seed)
        assert {split: len(frames) for split, frames in chosen.items()} == targets
        for split, frames in chosen.items():
            assert abs(sum(each.light == "day" for each in frames) - targets[split] / 2) <= 0.5
        groups = [{each.group for each in frames} for frames in chosen.values()]
        assert not any(one & other for one, other in combinations(groups, 2))

    def test_one_light_fills_up_for_the_other(self) -> None:
        kept = stock(a=(9, 2), b=(1, 9))
        split_of, targets = {"a": "train", "b": "test"}, {"train": 8, "test": 8}
        chosen = take(kept, split_of, targets, 0)
        counts = {split: Counter(each.light for each in frames) for split, frames in chosen.items()}
        assert counts == {"train": {"day": 6, "night": 2}, "test": {"day": 1, "night": 7}}

    def test_a_repeat_is_dropped_in_whatever_video_and_its_twin_named(self) -> None:
        one, other, soft = candidate("a", "day", 1), candidate("b", "day", 2), candidate("b", "day", 3, blur=0.51)
        again = Candidate(1, "b", "night", one.measured)
        found = screen([one, soft, other, again], VideoSettings())
        assert (found.kept, found.blurred, found.repeated) == ((one, other), (soft,), ((again, one, 0.0),))


def test_every_sharp_scene_is_sharper_than_the_least_smeared_one() -> None:
    pictures = [scene(seed, light) for seed in range(8) for light in ("day", "night")]
    sharp = [blur(np.asarray(Image.fromarray(each).convert("L"), np.float32)) for each in pictures]
    soft = [blur(np.asarray(Image.fromarray(smeared(each)).convert("L"), np.float32)) for each in pictures]
    assert max(sharp) < 0.5 < min(soft)
