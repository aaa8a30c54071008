"""Jobs shared out among processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from icr.errors import InputError

FEW = 12
"""Up to so many jobs the processes cost more time to start than they save."""

Job = TypeVar("Job")
Made = TypeVar("Made")


def in_order(make: Callable[[Job], Made], jobs: Sequence[Job], workers: int | None) -> Generator[Made, None, None]:
    """Results in the order of the jobs, of which there is at least one.

    Args:
        make: does one job; it can be pickled where there is more than one process.
        jobs: what it is called with.
        workers: processes; as many as there are cores when None, but one for few jobs.

    Raises:
        InputError: the processes cannot run.
    """
    if workers is None:
        workers = 1 if len(jobs) <= FEW else _cores()
    if workers == 1:
        yield from map(make, jobs)
        return
    # Forking a process that has run threads (PyTorch, a progress bar) can hang, so each worker starts afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_follow_parent) as pool:
        try:
            yield from pool.map(make, jobs, chunksize=4)
        except BrokenProcessPool as error:
            raise InputError(
                "the processes that draw ended at once: call generate below `if __name__ == '__main__':` in a script, "
                "or pass workers=1; where memory is short, fewer workers"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _follow_parent() -> None:
    """Let the parent alone answer Ctrl-C: it tells the workers to stop, and they end without a traceback.

    A parent that is killed tells them nothing, and they would wait for ever: they end with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_too() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_too, daemon=True).start()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
