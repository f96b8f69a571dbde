"""A rehearsal carries a profile to its book before its hours are spent: book/_press/rehearse.py.

Where CGN_REHEARSAL is 1, every declared run is cut to its smallest size, there are few digits,
and the nets of ImageNet that cost most are thin.  Such a run says so in its spec: it is no result.
"""

import os

from cgnlib.errors import CGNError

VARIABLE = "CGN_REHEARSAL"


def under_way() -> bool:
    """Raises CGNError for a word that may mean either."""
    told = os.environ.get(VARIABLE, "").strip()
    if told not in ("", "0", "1"):
        raise CGNError(f"{VARIABLE} is {told!r}: set it to 1, or unset it")
    return told == "1"
