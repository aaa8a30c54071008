"""The one error that is the user's to mend, and the nearest-match hint that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input, told in one line: what was found, where, what was expected, what to do.

    The command line prints it without a traceback and ends with status 2.
    """


def nearest(found: str, known: Iterable[str]) -> str:
    """Say which known name is closest to a mistyped one, ready to append to an error.

    Args:
        found: the name as given.
        known: the valid names.

    Returns:
        ``"; did you mean 'ciou'?"``, or an empty string when nothing is close.

    Example:
        >>> nearest("cuio", ["ciou", "nwd"])
        "; did you mean 'ciou'?"
        >>> nearest("xyz", ["ciou", "nwd"])
        ''
    """
    close = difflib.get_close_matches(found, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
