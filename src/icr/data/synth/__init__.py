"""Generated road scenes by day and night, with vehicles, plates and exact pairs."""

from __future__ import annotations

from icr.data.synth.generate import generate
from icr.data.synth.settings import CLOSE, CROWDED, DEFAULT, SVMLP, SceneSettings

__all__ = ["CLOSE", "CROWDED", "DEFAULT", "SVMLP", "SceneSettings", "generate"]
