"""Frames from video, ready to be labelled: drawn at random in time, no two alike, none blurred, split by recording."""

from __future__ import annotations

from icr.data.video.extraction import extract
from icr.data.video.settings import COUNTS, VideoSettings

__all__ = ["COUNTS", "VideoSettings", "extract"]
