"""Steps of small nets on a GPU, recorded once and replayed.

Such a step is some hundreds of kernels of a few microseconds each: launched one by one they would
take several times as long as they run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

WARM = 3  # steps in which libraries choose their kernels and optimisers make their state


@contextmanager
def stream(device: torch.device) -> Iterator[None]:
    """A stream of its own for the GPU work inside: what runs on the default one cannot be recorded.

    Nothing on a CPU.
    """
    if device.type == "cpu":
        yield
        return
    outer, inner = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    inner.wait_stream(outer)
    with torch.cuda.stream(inner):
        yield
    outer.wait_stream(inner)


class Replayed:
    """A step that is called with the indices of a batch, [B] on the CPU, and returns nothing.

    The first ones run as they are, the next is recorded, and that one and all later ones are
    replayed; so the step must compute the same thing each time, from tensors that stay where they
    are.  A batch of another size, as at the end of an epoch, runs as it is.
    draws: the generators on the GPU that the step draws from, and no others.
    """

    def __init__(
        self,
        step: Callable[[Tensor], None],
        batch: int,
        device: torch.device,
        draws: list[torch.Generator],
    ):
        self.step, self.draws, self.warm = step, draws, WARM
        self.index = torch.zeros(batch, dtype=torch.long, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, index: Tensor) -> None:
        if len(index) != len(self.index):
            self.step(index.to(self.index.device))
            return
        self.index.copy_(index)
        if self.warm:
            self.warm -= 1
            self.step(self.index)
            return
        if self.graph is None:
            self._record()
        self.graph.replay()

    def _record(self) -> None:
        self.graph = torch.cuda.CUDAGraph()
        for rng in self.draws:
            self.graph.register_generator_state(rng)
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream()):
            self.step(self.index)
