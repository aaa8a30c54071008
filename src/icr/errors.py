"""The one error that is the user's to mend, and the nearest-match hint that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.6
"""The least likeness, 0..1, at which a known name is suggested; at half, letters strewn over any name are enough."""

_BEGUN = 3
"""Letters from which on a name that begins with what was given is near, however long it is."""


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
        >>> nearest("warmup", ["amp", "warmup_epochs"])
        "; did you mean 'warmup_epochs'?"
        >>> nearest("photometric", ["optimizer", "mosaic"])
        ''
    """

    def likeness(name: str) -> float:
        begun = len(found) >= _BEGUN and name.lower().startswith(found.lower())
        alike = difflib.SequenceMatcher(None, found.lower(), name.lower()).ratio()
        return max(alike, _ALIKE + 0.1) if begun else alike

    best = max(known, key=likeness, default="")
    return f"; did you mean {best!r}?" if best and likeness(best) >= _ALIKE else ""
