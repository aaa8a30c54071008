"""A data set as one HTML page that works offline, to step through and filter; `icr data show --html`."""

from __future__ import annotations

from icr.data.browser.page import LIMIT, Page, browse

__all__ = ["LIMIT", "Page", "browse"]
