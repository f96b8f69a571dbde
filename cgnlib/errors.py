"""The one exception that a reader is meant to see."""


class CGNError(Exception):
    """Something the user can mend: the message says what, where and how, in one line."""
