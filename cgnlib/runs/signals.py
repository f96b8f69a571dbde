"""Being asked to stop: by Ctrl-C, by a cluster (SIGTERM), or before a time limit (SIGUSR1)."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
]


class Flag(Protocol):
    """An event of threads or of processes."""

    def set(self) -> None: ...
    def is_set(self) -> bool: ...


@contextmanager
def signals_set(flag: Flag) -> Iterator[None]:
    """Inside the block a signal only sets `flag`; a second Ctrl-C is a KeyboardInterrupt.

    Outside the main thread nothing is changed, since signals do not arrive there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    asked = False  # of this process: the flag may have been set by another, by the same Ctrl-C

    def note(number: int, _frame: object) -> None:
        nonlocal asked
        if number == signal.SIGINT and asked:
            raise KeyboardInterrupt
        asked = True
        os.write(2, b"asked to stop: what is under way is saved first\n")
        flag.set()

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
