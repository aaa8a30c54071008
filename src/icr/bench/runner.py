"""Running a grid: what is finished stays, what failed is told, and the order tells most soonest."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from icr import runs
from icr.bench import arms, checking, generated, interruption, moving, opening, store
from icr.bench.grid import Cell, Grid
from icr.bench.local import Executor, Inline, Processes
from icr.bench.order import estimate, in_words, next_ready, ordered, time_left
from icr.bench.worker import TRAINING, Job, Train, in_one_line
from icr.detectors import engine, find

Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a run of a grid.

    Attributes:
        store: the folder.
        cells: trainings of the grid.
        finished: how many of them are finished, before this run or in it.
        ran: how many this run finished.
        failures: cells that failed now, and why.
        waiting: cells that are left: no time for them, or what they need failed.
    """

    store: Path
    cells: int
    finished: int
    ran: int
    failures: tuple[tuple[Cell, str], ...]
    waiting: tuple[Cell, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "store": str(self.store),
            "cells": self.cells,
            "finished": self.finished,
            "ran": self.ran,
            "failed": [{"cell": cell.key, **asdict(cell), "error": error} for cell, error in self.failures],
            "waiting": [cell.key for cell in self.waiting],
        }


def run(
    grid: Grid,
    folder: Path,
    *,
    devices: Sequence[str] = ("cpu",),
    executor: Callable[[int], Executor] | None = None,
    train: Train | str = TRAINING,
    hours: float | None = None,
    say: Say = print,
    progress: Progress = lambda done, total: None,
) -> Outcome:
    """Train every cell of a grid that is not finished; the work behind `icr bench run`.

    Args:
        grid: what to train.
        folder: the store, new or made by the same grid.
        devices: of this machine; one cell at a time on each.
        executor: made with the lock's file descriptor, trains elsewhere than in processes on `devices`.
        train: another training function: `module:name`, or one to be called in this process, one cell after another.
        hours: no cell is begun that would not be finished by then.
        say: called with what a person should know.
        progress: called with the epochs done and the epochs of all cells.

    Raises:
        InputError: an entry of the grid cannot be used, or the store was made with other settings, or is in use.
    """
    began = time.monotonic()
    grid = checking.without_missing_data(grid, say)
    fingerprints = checking.check(grid, devices)
    grid = checking.with_own_bases(grid)
    with opening.locked(folder, say) as lock:
        grid = opening.open_store(folder, grid)
        moving.settle(folder)
        stored = store.finished(folder)
        opening.refuse_other_data(stored, fingerprints)
        if executor is not None:
            place = executor(lock)
        else:
            place = Processes(devices, (lock,)) if isinstance(train, str) else Inline(train, devices[0], say)
        cells = ordered(arms.trained(grid.cells()))
        seconds = {each.cell: each.seconds for each in stored}
        deadline = None if hours is None else began + 3600 * hours
        with _stopped(place):
            named = train if isinstance(train, str) else TRAINING
            return _Run(grid, folder, cells, seconds, place, deadline, named, say, progress).go()


class _Run:
    """The cells of one grid on their way: waiting, under way, ended."""

    def __init__(
        self,
        grid: Grid,
        folder: Path,
        cells: Sequence[Cell],
        seconds: dict[Cell, float],
        place: Executor,
        deadline: float | None,
        train: str,
        say: Say,
        progress: Progress,
    ) -> None:
        self.grid, self.folder, self.place, self.deadline = grid, folder, place, deadline
        self.train, self.say, self.progress, self.seconds = train, say, progress, seconds
        self.cells = list(cells)
        self.done = [cell for cell in cells if cell in seconds]
        self.waiting = [cell for cell in cells if cell not in seconds]
        self.running: list[Cell] = []
        self.failures: list[tuple[Cell, str]] = []
        self.no_more = False

    def go(self) -> Outcome:
        before = len(self.done)
        for finished in self.done:
            interruption.end(self.folder, finished)
        if before:
            self.say(f"{before} of {len(self.cells)} cells are finished and stay as they are")
        while True:
            while len(self.running) < self.place.slots and (cell := self._next()) is not None:
                self._begin(cell)
            if not self.running:
                break
            job, error = self.place.wait(self._tick)
            self._ended(job.cell, error)
        self._tell_left()
        return Outcome(
            store=self.folder,
            cells=len(self.cells),
            finished=len(self.done),
            ran=len(self.done) - before,
            failures=tuple(self.failures),
            waiting=tuple(self.waiting),
        )

    def _next(self) -> Cell | None:
        """The cell to begin now; None when none can, or the next would not fit any more."""
        cell = next_ready(self.waiting, self.done, lambda each: arms.find(each.arm).needed(each))
        if cell is None or self.no_more:
            return None
        expected = estimate(cell, self.seconds)
        if self.deadline is not None and time.monotonic() + (expected or 0.0) > self.deadline:
            self.no_more = True
            return None
        return cell

    def _begin(self, cell: Cell) -> None:
        self.waiting.remove(cell)
        left = time_left([cell, *self.waiting, *self.running], self.seconds, self.place.slots)
        told = "" if left is None else f" (about {in_words(left)} left)"
        number = len(self.done) + len(self.failures) + len(self.running) + 1
        self.say(f"cell {number} of {len(self.cells)}: {cell.key}{told}")
        self.running.append(cell)
        try:
            job = self._job(cell)
            self.place.start(job, interruption.log_of(self.folder, cell))
        except Exception as error:
            self._ended(cell, in_one_line(error))

    def _job(self, cell: Cell) -> Job:
        source, training = self.grid.data[cell.data], self.grid.training_of(cell.model)
        data = store.data_path(self.folder, self.grid, cell)
        if source.synth is not None:
            generated.make(self.folder / "data" / cell.data, source.synth, cell.seed, say=self.say)
        arm = arms.find(cell.arm)
        needed = arm.needed(cell)
        settings = arm.settings(cell, store.folder_of(self.folder, needed[0]) if needed else None)
        model = self.grid.models[cell.model]
        beginning = interruption.begin(self.folder, cell, exact=_continues_exactly(model, cell, self.folder))
        return Job(
            cell=cell,
            folder=store.folder_of(self.folder, cell).resolve(),
            data=data.resolve(),
            relation=source.relations,
            settings={**training, **settings, "model": model},
            resume=beginning.resume,
            interrupted=beginning.interrupted,
            before=beginning.before,
            train=self.train,
        )

    def _ended(self, cell: Cell, error: str) -> None:
        self.running.remove(cell)
        folder = store.folder_of(self.folder, cell)
        record = store.read_cell(folder) or {}
        if error:
            if record.get("status") != "failed":
                store.write_cell(folder, cell, "failed", error=error)
            self.failures.append((cell, error))
            self.say(f"{cell.key} failed: {error}; the rest goes on, {folder / store.LOG} tells more")
        else:
            self.done.append(cell)
            self.seconds[cell] = float(record.get("seconds", 0.0))
        interruption.end(self.folder, cell)
        self._tick()

    def _tick(self) -> None:
        """Tell how many epochs are behind, by the rows of the cells under way."""
        epochs = {cell: int(self.grid.training_of(cell.model).get("epochs", 100)) for cell in self.cells}
        ended = [*self.done, *(cell for cell, _ in self.failures)]
        done = sum(epochs[cell] for cell in ended)
        done += sum(_rows(store.folder_of(self.folder, cell) / "results.csv") for cell in self.running)
        self.progress(done, sum(epochs.values()))

    def _tell_left(self) -> None:
        if not self.waiting:
            return
        left = time_left(self.waiting, self.seconds, self.place.slots)
        time_ = "" if left is None else f", about {in_words(left)}"
        why = "no time is left for" if self.no_more else "what they need failed, so these wait:"
        first = ", ".join(cell.key for cell in self.waiting[:3])
        more = f" and {len(self.waiting) - 3} more" if len(self.waiting) > 3 else ""
        self.say(
            f"{why} {len(self.waiting)} of {len(self.cells)} cells{time_}: {first}{more}; the same command goes on"
        )


@contextlib.contextmanager
def _stopped(place: Executor) -> Iterator[None]:
    """End what is under way when the run is interrupted."""
    try:
        yield
    finally:
        place.stop()


def _continues_exactly(model: str, cell: Cell, folder: Path) -> bool:
    """Whether the engine of a model can go on with a killed cell exactly where it was."""
    own = store.folder_of(folder, cell)
    if not (own / runs.RECORD).is_file():
        return False
    exact = getattr(engine(find(model).engine), "continues_exactly", None)
    return exact is not None and bool(exact(own))


def _rows(path: Path) -> int:
    try:
        return max(0, path.read_bytes().count(b"\n") - 1)
    except OSError:
        return 0
