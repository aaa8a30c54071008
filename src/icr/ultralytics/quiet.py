# SPDX-License-Identifier: AGPL-3.0-only
"""What Ultralytics and its libraries do or say unasked, kept from it for a while."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ultralytics.utils import LOGGER, downloads


@contextmanager
def without_downloads() -> Iterator[None]:
    """Have Ultralytics take it that no file can be fetched (it would fetch a font for its plots)."""
    is_url = downloads.is_url
    downloads.is_url = lambda url, check=False: not check and is_url(url)
    try:
        yield
    finally:
        downloads.is_url = is_url


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Keep matplotlib from warning of every character of a class name that its font lacks, picture after picture."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Have Ultralytics log errors alone."""
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
