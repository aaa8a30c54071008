"""A loaded detector over pictures and video: what is found, drawn and written down, each child with its parent."""

from __future__ import annotations

from icr.predicting.folder import Summary, relations_of, run
from icr.predicting.sources import Source, find
from icr.predicting.video import length

__all__ = ["Source", "Summary", "find", "length", "relations_of", "run"]
