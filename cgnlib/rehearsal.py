"""A rehearsal carries a profile to its book before its hours are spent: book/_press/rehearse.py.

Where CGN_REHEARSAL is set, every declared run is cut to its smallest size, there are few digits,
and the nets of ImageNet that cost most are thin.  Such a run says so in its spec: it is no result.
"""

import os

VARIABLE = "CGN_REHEARSAL"


def under_way() -> bool:
    return bool(os.environ.get(VARIABLE))
