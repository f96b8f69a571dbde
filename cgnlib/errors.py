"""The one exception that a reader is meant to see, and how others are quoted in it."""


class CGNError(Exception):
    """Something the user can mend: the message says what, where and how, in one line."""


def reason(error: BaseException) -> str:
    """The first line of another error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
