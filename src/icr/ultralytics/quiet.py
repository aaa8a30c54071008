# SPDX-License-Identifier: AGPL-3.0-only
"""What Ultralytics and its libraries do or say unasked, kept from it for a while."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

from ultralytics.utils import LOGGER, downloads


@contextmanager
def without_downloads() -> Iterator[None]:
    """Have Ultralytics take it that no file can be fetched.

    It would fetch a font for its plots, and on a GPU the weights of another model to try half precision with; told to
    be offline, it asks for these nevertheless.
    """
    is_url, download = downloads.is_url, downloads.safe_download
    downloads.is_url = lambda url, check=False: not check and is_url(url)
    downloads.safe_download = _refuse_download
    try:
        yield
    finally:
        downloads.is_url, downloads.safe_download = is_url, download


def _refuse_download(url: Any, *others: Any, **more: Any) -> NoReturn:
    raise ConnectionError(f"{url} is not fetched: nothing is downloaded")


def downloads_as_told() -> AbstractContextManager[None]:
    """`without_downloads` where the environment says YOLO_OFFLINE, as in every process of `icr train`."""
    told = os.environ.get("YOLO_OFFLINE", "").strip().lower()
    return without_downloads() if told in {"1", "true", "yes", "on"} else nullcontext()


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Keep matplotlib from warning of every character of a class name that its font lacks, picture after picture."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield


def leave_out_idle_tune(callbacks: MutableMapping[str, list[Callable[..., Any]]]) -> None:
    """Take Ultralytics' report to Ray Tune off a trainer that Tune did not start: Ray warns of it after each epoch.

    Args:
        callbacks: the trainer's, by event.
    """
    reporting = sys.modules.get("ultralytics.utils.callbacks.raytune")
    if reporting is None or not reporting.callbacks:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the question alone is warned of
        trial = reporting.tune.get_context().get_trial_id()
    if trial is None:
        for event, report in reporting.callbacks.items():
            callbacks[event] = [each for each in callbacks[event] if each is not report]


@contextmanager
def quiet() -> Iterator[None]:
    """Have Ultralytics log errors alone."""
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
