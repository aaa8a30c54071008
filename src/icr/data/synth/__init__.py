"""Generated road scenes by day and night, with vehicles, plates and exact pairs."""

from __future__ import annotations

from icr.data.synth.generate import generate
from icr.data.synth.settings import CLOSE, DEFAULT, SceneSettings

__all__ = ["CLOSE", "DEFAULT", "SceneSettings", "generate"]
