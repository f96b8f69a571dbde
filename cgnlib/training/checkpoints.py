"""What a stopped training goes on from: one file, whole or not at all, and the one before it."""

import hashlib
import io
import logging
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cgnlib.errors import CGNError, ElsewhereError, Interrupted, ending, reason

logger = logging.getLogger(__name__)
DIGEST = hashlib.sha256().digest_size


def never() -> bool:
    """What never asks to stop."""
    return False


def nothing() -> None:
    """What has no objection to a save."""


@dataclass
class Checkpoint:
    """Keeps a loop's state in one file, written by rename every `every` seconds.

    A state so large that it takes long to write is written less often, a twentieth of the time.

    The file is a sha256 and what it is of, as torch.load alone does not see a flipped bit.  The
    state before the last one is kept beside it, for the day that the last one is damaged.
    stop: asked after each step; when it says yes the loop saves and raises Interrupted.
    guard: called before a save, before it counts and when it fails; what it raises ends the loop,
    and nothing is saved.
    spent: the seconds of work behind a resumed state, those of all attempts.
    """

    path: Path | None = None
    every: float = 60.0
    stop: Callable[[], bool] = never
    guard: Callable[[], None] = nothing
    spent: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)
    _took: float = 0.0

    @property
    def before(self) -> Path:
        """Where the state before the last one is."""
        return self.path.with_suffix(f".before{self.path.suffix}")

    def load(self, parts: dict, here: str | None = None) -> dict | None:
        """Restore parts (anything with a state dict, or a generator); the loop's own state.

        here: what the loop computes on, and in.
        Returns None where there is no file.  Raises CGNError when the file is damaged or of
        another net, ElsewhereError when it was made elsewhere, and leaves it where it is.
        """
        if self.path is None:
            return None
        path = next((path for path in (self.path, self.before) if path.exists()), None)
        if path is None:
            return None
        try:
            state = _read(path)
            if here and (there := state["loop"]["device"]) != here:
                raise ElsewhereError(
                    f"{path} was made on a {there} and this is a {here}", there, here
                )
            for name, part in parts.items():
                if isinstance(part, torch.Generator):
                    part.set_state(state["parts"][name])
                else:
                    part.load_state_dict(state["parts"][name])
            self.spent = state["spent"]
            logger.debug("going on after step %d, from %s", state["loop"]["step"], path.name)
            return state["loop"]
        except ElsewhereError:
            raise
        except Exception as error:
            from_where = "from the beginning"
            if path == self.path and self.before.exists():
                from_where = f"from the one before, {self.before.name}"
            raise CGNError(
                f"checkpoint {path} cannot be resumed ({reason(error)}): "
                f"delete it to start this run {from_where}"
            ) from error

    def after_step(self, loop: dict, parts: dict) -> None:
        """Save when it is time or when asked to stop.  Raises Interrupted in the latter case."""
        stopping = self.stop()
        start = time.monotonic()
        wait = max(self.every, 20 * self._took) if self.every else 0.0
        due = self.path is not None and start - self._saved > wait
        if self.path is not None and (due or stopping):
            self.guard()
            states = {
                name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
                for name, part in parts.items()
            }
            spent = self.spent + start - self._started
            self._save({"loop": loop, "parts": states, "spent": spent})
            self._saved = time.monotonic()
            self._took = self._saved - start
        if stopping:
            raise Interrupted(f"stopped after step {loop['step']}")

    def _save(self, state: dict) -> None:
        content = io.BytesIO()
        torch.save(state, content)
        digest = hashlib.sha256(content.getbuffer()).digest()
        part = self.path.with_suffix(f".{uuid.uuid4().hex}.part")  # nobody else writes into it
        try:
            with part.open("wb") as file:
                file.write(digest)
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            self.guard()
            if self.path.exists():
                os.replace(self.path, self.before)
            os.replace(part, self.path)
        except OSError as error:
            self.guard()  # who took the run over cleans up: then the folder is in order
            kept = self.path.exists() or self.before.exists()
            raise CGNError(
                f"{self.path} cannot be written ({reason(error)}): free space or mend the folder, "
                f"then run again{'; the last checkpoint is kept' if kept else ''}"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete both files, and what a kill left half written: what they lead to is done."""
        for path in (self.path, self.before, *self.path.parent.glob(f"{self.path.stem}.*.part")):
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict:
    content = memoryview(ending(path).read_bytes())
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        raise ValueError("it is truncated or damaged")
    return torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
