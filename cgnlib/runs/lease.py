"""A lease keeps two processes from computing the same run at once, on one machine or on several.

Its owner renews it while it lives, and loses it when it has not been heard of for a minute.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLease, Timeout

from cgnlib.errors import CGNError, Interrupted, ending
from cgnlib.runs.signals import Flag

logger = logging.getLogger(__name__)
LEASE_SECONDS = 60.0  # every process that may want a run has to agree on it


@contextmanager
def leased(path: Path, name: str, stop: Flag) -> Iterator[Callable[[], None]]:
    """Hold the lease of a run; waits for whoever has it, unless asked to stop.

    Yields what raises CGNError once another process has taken the lease over, because this one
    was not heard of for LEASE_SECONDS.
    """
    lease = SoftFileLease(path, lease_duration=LEASE_SECONDS, is_singleton=False)

    def check() -> None:
        # the lease's own thread would tell, but later: after a long sleep this comes first
        for _ in range(3):
            if _fields(path).get("token") == lease.token:
                return
            time.sleep(0.1)  # a contender moves the file aside for a moment as it looks at it
        raise CGNError(f"{name} was taken over by another process, as this one had stopped")

    try:
        lease.acquire(timeout=0)
    except Timeout:
        owner = _fields(path)
        where = f"process {owner.get('pid', '?')} on {owner.get('host', 'another machine')}"
        logger.info("waiting for %s, which %s computes", name, where)
        try:
            lease.acquire(poll_interval=1.0, cancel_check=stop.is_set)
        except Timeout:
            raise Interrupted(f"stopped while waiting for {name}") from None
    try:
        yield check
    finally:
        lease.release()


def _fields(path: Path) -> dict[str, str]:
    """What the file of a lease says; nothing where there is none."""
    try:
        lines = ending(path).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
