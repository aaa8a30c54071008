"""A loaded detector over pictures and video: what is found, drawn and written down, each child with its parent."""

from __future__ import annotations

from icr.predicting.folder import Summary, relations_of, run
from icr.predicting.sources import Source, find

__all__ = ["Source", "Summary", "find", "relations_of", "run"]
