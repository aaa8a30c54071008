"""From video files to a folder of frames that is ready to be labelled; killed, it goes on where it was."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icr.data.formats.text import counted
from icr.data.formats.yolo_write import write_config
from icr.data.video import report as reports
from icr.data.video.sampling import Video, VideoError, describe, shots
from icr.data.video.scanning import scan
from icr.data.video.selection import LIGHTS, Candidate, Screened, assign, halves, screen, take, wanted
from icr.data.video.settings import VideoSettings
from icr.drawing import write_picture
from icr.errors import InputError
from icr.predicting.sources import find
from icr.runs import first_difference, write_json

STATE, MANIFEST, REPORT = "from-video.json", "manifest.json", "report.json"
_STORE = "scan"
_FIRST = 3
"""Moments looked at, at first, for each frame wanted."""

_LEAST = 16
_DENSEST = 5.0
"""Moments looked at in a second of video at most: closer ones show the same."""

_GROWTH = 0.1
"""When twice as many moments bring less than this share of usable frames more, looking on is given up."""


def extract(
    sources: Sequence[str],
    out: Path,
    settings: VideoSettings,
    *,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Take frames from videos into a folder: pictures by split, `data.yaml`, `manifest.json` and a report.

    The same call goes on after a kill, with the same result. One decoded frame is held at a time, besides those in
    which the decoder itself works.

    Args:
        sources: video files, folders of them, patterns.
        out: a new or empty folder, or one that the same call has begun.
        settings: what is wanted.
        say: told, one sentence each, what a person should know.
        progress: told how many moments and pictures are done, of how many.

    Returns:
        The report, as in `report.json`.

    Raises:
        InputError: there is no usable video, fewer recordings than splits, no usable frame, or `out` holds anything
            else.
    """
    videos, faults = _videos(sources, settings, say)
    done = _begin(out, videos, settings)
    if done is not None:
        say(f"{out} is complete; nothing is done anew")
        return done
    candidates, screened, split_of, targets, more = _look(videos, out / _STORE, settings, progress)
    faults += more
    taken = take(screened.kept, split_of, targets, settings.seed)
    files = _write_frames(videos, taken, out, progress, 2 * len(candidates))
    report = reports.as_json(settings, videos, candidates, screened, split_of, taken, faults)
    _write_manifest(videos, taken, out)
    splits = {split: f"images/{split}" for split in taken}
    write_config(out / "data.yaml", splits, settings.names, settings.relations)
    (out / "report.txt").write_text(f"{reports.as_text(report)}\n", encoding="utf-8")
    reports.draw_taken(files, report, out / "taken.jpg")
    reports.draw_dropped(screened, videos, settings, out / "dropped.jpg")
    write_json(out / REPORT, report)
    shutil.rmtree(out / _STORE)
    return report


def _videos(
    sources: Sequence[str], settings: VideoSettings, say: Callable[[str], None]
) -> tuple[list[Video], list[str]]:
    """The videos, each once, and why files were left out."""
    videos: dict[str, Video] = {}
    faults: list[str] = []
    names: Counter[str] = Counter()
    named = {Path(each).expanduser() for each in sources}
    for source in find(sources):
        if not source.video:
            if source.path in named:
                faults.append(
                    f"{source.path}: left out, its name is no video's; expected .mp4, .mov, .mkv and the like"
                )
            continue
        name = "_".join(source.name.parts)
        names[name] += 1
        name = name if names[name] == 1 else f"{name}-{names[name]}"
        group = name if settings.by == "video" else str(source.path.parent)
        try:
            video = describe(source.path, name, group)
        except VideoError as error:
            faults.append(f"{source.path}: left out, {error}")
            continue
        if video.digest in videos:
            faults.append(f"{source.path}: left out, it is the same as {videos[video.digest].path}")
            continue
        videos[video.digest] = video
    for each in faults:
        say(each)
    if not videos:
        why = f"; {faults[0]}" if faults else ""
        raise InputError(f"{' '.join(map(str, sources))}: no video can be read; expected .mp4, .mov, .mkv{why}")
    recordings = {video.group for video in videos.values()}
    if len(recordings) < len(settings.splits):
        what = counted(len(recordings), settings.by)
        raise InputError(
            f"{what} cannot fill {len(settings.splits)} splits ({', '.join(settings.splits)}) without a scene in two "
            "of them; give more, or ask for fewer splits, such as --val 0 --test 0"
        )
    return list(videos.values()), faults


def _begin(out: Path, videos: Sequence[Video], settings: VideoSettings) -> dict[str, Any] | None:
    """Make the folder, or go on in it; its report where it is complete."""
    state = {
        **settings.as_json(),
        "videos": [{"video": video.name, "digest": video.digest, "recording": video.group} for video in videos],
    }
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} exists and is no folder; give --out a new one")
    file = out / STATE
    if file.is_file():
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
            report = json.loads((out / REPORT).read_text(encoding="utf-8")) if (out / REPORT).is_file() else None
        except (OSError, ValueError) as error:
            raise InputError(f"{out}: its record cannot be read ({error}); give --out a new folder") from None
        if before != state:
            videos_differ = before.get("videos") != state["videos"]
            what = "the videos differ" if videos_differ else first_difference(before, state)
            raise InputError(f"{out} was begun otherwise: {what}; ask for the same again, or give --out a new folder")
        if report is not None:
            shutil.rmtree(out / _STORE, ignore_errors=True)
            return dict(report)
    elif out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} exists and is not empty; nothing is written over, give --out a new folder")
    (out / _STORE).mkdir(parents=True, exist_ok=True)
    write_json(file, state)
    return None


def _look(
    videos: Sequence[Video], store: Path, settings: VideoSettings, progress: Callable[[int, int], None]
) -> tuple[list[Candidate], Screened, dict[str, str], dict[str, int], list[str]]:
    """Look at more and more moments until every split can be filled, or more looking brings nothing."""
    asked = sum(settings.counts.values())
    looked = [0] * len(videos)
    frames: list[list[Candidate]] = [[] for _ in videos]
    faults: list[str] = []
    before: Counter[str] | None = None
    done = 0
    for factor in (_FIRST * 2**step for step in range(16)):
        upto = _moments_of(videos, factor * asked)
        total = sum(upto) + asked
        for place, video in enumerate(videos):
            if upto[place] <= looked[place]:
                continue

            def seen(count: int, total: int = total) -> None:
                nonlocal done
                done += count
                progress(done, total)

            found = scan(video, looked[place], upto[place], settings.seed, store, seen)
            known = {each.measured.seconds for each in frames[place]}
            for each in found.frames:
                if each.seconds not in known:
                    light = LIGHTS[each.brightness < settings.night_below]
                    frames[place].append(Candidate(place, video.group, light, each))
            faults += [each for each in found.faults if each not in faults]
        candidates = [each for own in frames for each in sorted(own, key=lambda candidate: candidate.measured.seconds)]
        screened = screen(candidates, settings)
        targets = wanted(settings.counts, len(screened.kept))
        split_of = assign(screened.kept, targets)
        lacking = _lacking(screened.kept, split_of, settings)
        if not lacking or upto == looked:
            break
        looked = upto
        usable = Counter[str](each.light for each in screened.kept)
        if before is not None and all(usable[light] <= before[light] * (1 + _GROWTH) for light in lacking):
            break
        before = usable
    if not screened.kept:
        blurred = len(screened.blurred)
        raise InputError(
            f"not one of {counted(len(candidates), 'frame')} can be used: {blurred:,} are blurred above "
            f"{settings.blurred:g}; {faults[0] if faults else 'raise --blurred if they look sharp'}"
        )
    empty = [split for split in targets if split not in split_of.values()]
    if empty:
        raise InputError(
            f"the usable frames come from {counted(len(split_of), 'recording')}, too few for {len(targets)} splits "
            f"({', '.join(empty)} would be empty); give more videos, or ask for fewer splits"
        )
    return candidates, screened, split_of, targets, faults


def _moments_of(videos: Sequence[Video], total: int) -> list[int]:
    """How many moments to look at in each video: by its length, within what is worth looking at."""
    seconds = sum(video.seconds for video in videos)
    return [
        min(max(-int(-total * video.seconds // seconds), _LEAST), max(int(video.seconds * _DENSEST), _LEAST))
        for video in videos
    ]


def _lacking(kept: Sequence[Candidate], split_of: Mapping[str, str], settings: VideoSettings) -> set[str]:
    """The kinds of light of which some split has too few frames."""
    stock = Counter((split_of[each.group], each.light) for each in kept)
    return {
        light
        for split in settings.splits
        for light, share in halves(settings.counts[split]).items()
        if stock[split, light] < share
    }


def _picture_name(video: Video, candidate: Candidate) -> str:
    return f"{candidate.light}-{video.name}-{round(candidate.measured.seconds * 1000):09d}.jpg"


def _write_frames(
    videos: Sequence[Video],
    taken: Mapping[str, Sequence[Candidate]],
    out: Path,
    progress: Callable[[int, int], None],
    looked: int,
) -> dict[str, dict[str, list[Path]]]:
    """Write the pictures that are not there yet; all of them, by split and light."""
    files: dict[str, dict[str, list[Path]]] = {split: {light: [] for light in LIGHTS} for split in taken}
    missing: dict[int, list[tuple[float, Path]]] = {}
    for split, frames in taken.items():
        folder = out / "images" / split
        folder.mkdir(parents=True, exist_ok=True)
        for each in frames:
            file = folder / _picture_name(videos[each.video], each)
            files[split][each.light].append(file)
            if not file.exists():
                missing.setdefault(each.video, []).append((each.measured.seconds, file))
    total = sum(len(frames) for frames in taken.values())
    done = total - sum(map(len, missing.values()))
    for place, wished in sorted(missing.items()):
        wished.sort()
        faults: list[str] = []
        for shot in shots(videos[place].path, [seconds for seconds, _ in wished], faults):
            write_picture(shot.rgb(), wished[shot.place][1])
            done += 1
            progress(looked + done, looked + total)
        absent = [file for _, file in wished if not file.exists()]
        if absent:
            why = faults[0] if faults else f"{videos[place].path} has changed"
            raise InputError(f"{absent[0].name} cannot be taken from its video any more: {why}")
    return files


def _write_manifest(videos: Sequence[Video], taken: Mapping[str, Sequence[Candidate]], out: Path) -> None:
    entries = [
        {
            "image": f"images/{split}/{_picture_name(videos[each.video], each)}",
            "split": split,
            "light": each.light,
            "video": videos[each.video].name,
            "recording": each.group,
            "seconds": each.measured.seconds,
            "brightness": each.measured.brightness,
            "blur": each.measured.blur,
            "hash": each.measured.hash,
        }
        for split, frames in taken.items()
        for each in frames
    ]
    write_json(out / MANIFEST, {"images": entries})
