"""The one error that is the user's to mend, and the nearest-match hint that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.5
"""The least likeness, 0..1, at which a known name is suggested."""


class InputError(ValueError):
    """Bad input, told in one line: what was found, where, what was expected, what to do.

    The command line prints it without a traceback and ends with status 2.
    """


def nearest(found: str, known: Iterable[str]) -> str:
    """Say which known name is closest to a mistyped one, ready to append to an error.

    Args:
        found: the name as given; case does not count.
        known: the valid names; of equally close ones the first is named.

    Returns:
        ``"; did you mean 'ciou'?"``, or an empty string when nothing is close.

    Example:
        >>> nearest("cuio", ["ciou", "nwd"])
        "; did you mean 'ciou'?"
        >>> nearest("xyz", ["ciou", "nwd"])
        ''
    """

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, found.lower(), name.lower()).ratio()

    best = max(known, key=likeness, default="")
    return f"; did you mean {best!r}?" if best and likeness(best) >= _ALIKE else ""
