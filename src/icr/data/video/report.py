"""What `icr data from-video` did: as JSON, as text, and as two sheets of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icr.data.formats.text import counted
from icr.data.video.sampling import Video, shots
from icr.data.video.selection import LIGHTS, Candidate, Screened, halves
from icr.data.video.settings import VideoSettings
from icr.drawing import Picture, contact_sheet, fit, legend, read_picture, write_picture

_WIDE, _HIGH, _COLUMNS, _SHOWN = 288, 162, 6, 6


def as_json(
    settings: VideoSettings,
    videos: Sequence[Video],
    candidates: Sequence[Candidate],
    screened: Screened,
    split_of: Mapping[str, str],
    taken: Mapping[str, Sequence[Candidate]],
    faults: Sequence[str],
) -> dict[str, Any]:
    """The report as one object; counts are frames, times seconds."""
    every = [each for frames in taken.values() for each in frames]
    rows = {
        "looked_at": Counter(each.video for each in candidates),
        "blurred": Counter(each.video for each in screened.blurred),
        "repeated": Counter(each.video for each, _, _ in screened.repeated),
        "usable": Counter(each.video for each in screened.kept),
        "taken": Counter(each.video for each in every),
    }
    splits = {
        split: {
            "asked": settings.counts[split],
            "taken": len(frames),
            **{light: sum(each.light == light for each in frames) for light in LIGHTS},
            "recordings": len({each.group for each in frames}),
        }
        for split, frames in taken.items()
    }
    return {
        "splits": splits,
        **{key: sum(count.values()) for key, count in rows.items()},
        "videos": [
            {
                "video": video.name,
                "file": video.path.name,
                "recording": video.group,
                "seconds": round(video.seconds, 3),
                "split": split_of.get(video.group),
                **{key: count[place] for key, count in rows.items()},
            }
            for place, video in enumerate(videos)
        ],
        "notes": _notes(splits, screened),
        "faults": list(faults),
        "settings": settings.as_json(),
    }


def _notes(splits: Mapping[str, Mapping[str, int]], screened: Screened) -> list[str]:
    """Where the material fell short of what was asked."""
    notes = []
    for split, said in splits.items():
        if said["taken"] < said["asked"]:
            notes.append(f"{split} has {said['taken']:,} of {said['asked']:,} frames; more footage would fill it")
        for light, share in halves(said["taken"]).items():
            if said[light] < share:
                short = f"{said[light]:,} of {share:,} frames by {light}"
                notes.append(f"{split} has {short}; the rest is {_other(light)}, for want of {light} footage")
    usable = Counter(each.light for each in screened.kept)
    missing = [light for light in LIGHTS if not usable[light]]
    if missing:
        notes.append(f"no usable frame was taken by {' or by '.join(missing)}")
    return notes


def _other(light: str) -> str:
    return "night" if light == "day" else "day"


def as_text(report: Mapping[str, Any]) -> str:
    """The report as a person reads it.

    Example:
        >>> print(as_text({"splits": {"train": {"asked": 4, "taken": 4, "day": 2, "night": 2, "recordings": 1}},
        ...     "looked_at": 9, "blurred": 2, "repeated": 3, "usable": 4, "taken": 4, "videos": [], "notes": [],
        ...     "faults": []}))
        split    asked   taken     day   night  recordings
        train        4       4       2       2           1
        <BLANKLINE>
        9 frames looked at: 2 blurred, 3 like another, 4 usable, 4 taken
    """
    lines = [f"{'split':<6}{'asked':>8}{'taken':>8}{'day':>8}{'night':>8}{'recordings':>12}"]
    for split, said in report["splits"].items():
        numbers = f"{said['asked']:>8,}{said['taken']:>8,}{said['day']:>8,}{said['night']:>8,}"
        lines.append(f"{split:<6}{numbers}{said['recordings']:>12,}")
    looked = counted(report["looked_at"], "frame")
    lines += [
        "",
        f"{looked} looked at: {report['blurred']:,} blurred, {report['repeated']:,} like another, "
        f"{report['usable']:,} usable, {report['taken']:,} taken",
    ]
    if report["videos"]:
        wide = max(len("video"), *(len(each["video"]) for each in report["videos"]))
        heads = ("seconds", "looked at", "blurred", "repeated", "usable", "taken")
        lines += ["", f"{'video':<{wide}}  {'split':<6}" + "".join(f"{each:>11}" for each in heads)]
        for each in report["videos"]:
            keys = ("looked_at", "blurred", "repeated", "usable", "taken")
            numbers = f"{each['seconds']:>11,.1f}" + "".join(f"{each[key]:>11,}" for key in keys)
            lines.append(f"{each['video']:<{wide}}  {each['split'] or '-':<6}{numbers}")
    if report["notes"] or report["faults"]:
        lines += ["", *report["notes"], *report["faults"]]
    return "\n".join(lines)


def draw_taken(pictures: Mapping[str, Mapping[str, Sequence[Path]]], report: Mapping[str, Any], out: Path) -> None:
    """Draw frames of each split by day and by night, evenly spread over what was taken, on one sheet."""
    tiles, captions = [], []
    for split, by_light in pictures.items():
        for light, files in by_light.items():
            for file in _spread(files):
                tiles.append(fit(read_picture(file), _WIDE, _HIGH)[0])
                captions.append(f"{split}, {light}: {file.stem}")
    counts = ", ".join(
        f"{split} {said['taken']:,} ({said['day']:,} day, {said['night']:,} night)"
        for split, said in report["splits"].items()
    )
    _write_sheet("Frames taken", [counts], tiles, captions, out)


def draw_dropped(screened: Screened, videos: Sequence[Video], settings: VideoSettings, out: Path) -> None:
    """Draw the dropped frames that came nearest to being kept: blurred ones, and repeats beside what they repeat."""
    soft = sorted(screened.blurred, key=lambda each: each.measured.blur)[:_SHOWN]
    twins = sorted(screened.repeated, key=lambda each: -each[2])[:_SHOWN]
    tiles, captions = [], []
    for candidate in soft:
        tiles.append(_tile(candidate, videos))
        captions.append(f"blurred: {candidate.measured.blur:.2f}, {_called(candidate, videos)}")
    # A pair never breaks over two rows.
    blanks = -len(tiles) % 2
    tiles += [tiles[0] * 0] * blanks if tiles else []
    captions += [""] * blanks if captions else []
    for one, other, away in twins:
        tiles += [_tile(one, videos), _tile(other, videos)]
        captions += [f"dropped, {away:.2f} off: {_called(one, videos)}", f"kept: {_called(other, videos)}"]
    if not tiles:
        return
    lines = [
        f"Frames with a blur above {settings.blurred:g} are dropped, the least blurred of them here; "
        f"so are frames within {settings.similar:g} of a kept one, the least alike here.",
        "Frames here that you would keep: raise --blurred, or lower --similar.",
    ]
    _write_sheet("Frames dropped", lines, tiles, captions, out)


def _spread(files: Sequence[Path]) -> list[Path]:
    count = min(len(files), _SHOWN)
    return [files[place * len(files) // count] for place in range(count)]


def _tile(candidate: Candidate, videos: Sequence[Video]) -> Picture:
    path = videos[candidate.video].path
    shot = next(shots(path, [candidate.measured.seconds], []))
    return fit(shot.rgb(2 * _WIDE), _WIDE, _HIGH)[0]


def _called(candidate: Candidate, videos: Sequence[Video]) -> str:
    return f"{videos[candidate.video].name} at {candidate.measured.seconds:.1f} s"


def _write_sheet(
    title: str, lines: Sequence[str], tiles: Sequence[Picture], captions: Sequence[str], out: Path
) -> None:
    columns = min(_COLUMNS, len(tiles))
    width = max(columns * (_WIDE + 14) + 14, 900)
    head = legend(title, lines, [], False, width)
    write_picture(contact_sheet(tiles, columns, captions=captions, header=head), out)
