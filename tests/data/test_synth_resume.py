"""A generated set survives a kill: the same call goes on, with the same bytes as an unbroken run."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from icr.data.synth import CLOSE, SceneSettings, generate
from icr.data.synth.unfinished import DONE, Unfinished
from icr.errors import InputError

TINY = replace(CLOSE, size=(192, 144), plate_width=18.0, plate_limits=(11.0, 40.0))
COUNTS = {"train": 5, "val": 2}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def draw(out: Path, *, seed: int = 3, close: SceneSettings = TINY, stop_after: int | None = None) -> list[str]:
    """Generate, perhaps interrupted after some images; returns what was said."""

    def stop(done: int, total: int) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    said: list[str] = []
    generate(out, counts=COUNTS, seed=seed, close=close, workers=1, label_noise=0.5, progress=stop, say=said.append)
    return said


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("unbroken") / "set"
    assert draw(out) == []
    assert [path.name for path in out.parent.iterdir()] == ["set"]
    return digests(out)


def broken_off(out: Path, after: int) -> Path:
    """The unfinished folder of a run that was interrupted."""
    with pytest.raises(KeyboardInterrupt):
        draw(out, stop_after=after)
    return Unfinished(out, ()).folder


HELD = """
import sys, time
from icr.cli.app import main
from icr.data.synth.unfinished import Unfinished

add = Unfinished.add

def add_four(self, *args):
    add(self, *args)
    while len(self.done) >= 4:
        time.sleep(1)

Unfinished.add = add_four
if __name__ == "__main__":
    main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_killed_command_goes_on_and_its_workers_end_with_it(tmp_path: Path) -> None:
    out, whole = tmp_path / "killed", tmp_path / "unbroken"
    counts = ["--train", "30", "--val", "4"]
    options = [*counts, "--close", "--size", "240x180", "--seed", "2", "--label-noise", "0.3", "--workers", "2"]
    asked = ["data", "synth", str(out), *options]
    log = Unfinished(out, ()).folder / DONE
    running = subprocess.Popen([sys.executable, "-c", HELD, *asked], stdout=subprocess.DEVNULL)
    try:
        while not (log.is_file() and log.read_bytes().count(b"\n") >= 4):
            assert running.poll() is None
            time.sleep(0.01)
        workers = children(running.pid)
    finally:
        running.kill()
        running.wait()
    assert not out.exists()
    wait_for_the_end_of(workers)
    first = log.parent / "content/images/train/train-00000.jpg"
    drawn = first.stat().st_mtime_ns
    done = subprocess.run([sys.executable, "-m", "icr", *asked], capture_output=True, text=True, check=True)
    assert f"{out}: going on after " in done.stderr and " of 34 images" in done.stderr
    assert (out / "images/train/train-00000.jpg").stat().st_mtime_ns == drawn, "nothing is drawn twice"
    generate(whole, counts={"train": 30, "val": 4}, size=(240, 180), close=True, seed=2, label_noise=0.3, workers=1)
    assert digests(out) == digests(whole)
    assert {path.name for path in tmp_path.iterdir()} == {"killed", "unbroken"}


def children(process: int) -> list[int]:
    """Where the system tells them, the processes that a process has started."""
    file = Path(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in file.read_text().split()] if file.is_file() else []


def wait_for_the_end_of(processes: list[int]) -> None:
    """A zombie has ended; the test does not end while one of them lives on."""
    for process in processes:
        while _runs(process):
            time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_half_a_line_and_half_a_picture_are_made_anew(tmp_path: Path, unbroken: dict[str, str]) -> None:
    out = tmp_path / "set"
    folder = broken_off(out, 3)
    with (folder / DONE).open("ab") as log:
        log.write(b'{"image": "images/train/tr')
    (folder / "content/images/train/train-00003.jpg").write_bytes(b"\xff\xd8\xff")
    assert draw(out) == [f"{out}: going on after 3 of 7 images"]
    assert digests(out) == unbroken
    assert not folder.exists()


def test_it_can_be_interrupted_again_and_again(tmp_path: Path, unbroken: dict[str, str]) -> None:
    for after in (2, 5, 7):
        broken_off(tmp_path / "set", after)
    draw(tmp_path / "set")
    assert digests(tmp_path / "set") == unbroken


def test_other_settings_are_refused_and_what_was_begun_stays(tmp_path: Path, unbroken: dict[str, str]) -> None:
    out = tmp_path / "set"
    folder = broken_off(out, 2)
    before = digests(folder)
    with pytest.raises(InputError, match=r"was begun otherwise: seed was 3 and is now 4; .* remove .*\.set\.partial"):
        draw(out, seed=4)
    with pytest.raises(InputError, match=r"noise was 3\.0 and is now 1\.0"):
        draw(out, close=replace(TINY, noise=1.0))
    assert digests(folder) == before
    draw(out)
    assert digests(out) == unbroken


def test_a_run_that_drew_nothing_leaves_the_place_to_other_settings(tmp_path: Path) -> None:
    crowd = replace(CLOSE, plates=(10, 10), mean_plates=10, plate_width=190.0, plate_limits=(190.0, 190.0))
    with pytest.raises(InputError, match="no scene of 384x288 pixels fits"):
        draw(tmp_path / "set", close=crowd)
    assert not list(tmp_path.iterdir())


def test_a_kill_while_parts_are_moved_into_a_folder_that_was_there(
    tmp_path: Path, unbroken: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    out.mkdir()

    def half(work: Unfinished) -> None:
        for name in ("images", "labels", "manifest.json"):
            (work.content / name).replace(work.out / name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Unfinished, "publish", half)
        draw(out)
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="holds files already"):
        draw(out)
    (out / "mine.txt").unlink()
    draw(out)
    assert digests(out) == unbroken
    with pytest.raises(InputError, match="holds files already"):
        draw(out)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_a_kill_after_publishing_leaves_is_no_set(
    tmp_path: Path, unbroken: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr("icr.data.synth.unfinished.shutil.rmtree", lambda *_, **__: None)
        draw(out)
    assert digests(out) == unbroken
    with pytest.raises(InputError, match="holds files already"):
        draw(out)
    shutil.rmtree(out)
    assert draw(out) == [], "nothing is left to go on with"
    assert digests(out) == unbroken


def test_two_processes_do_not_make_the_same_folder(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    out = tmp_path / "set"
    folder = broken_off(out, 2)
    descriptor = os.open(folder / DONE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is making it"):
            draw(out)
    finally:
        os.close(descriptor)
    draw(out)
