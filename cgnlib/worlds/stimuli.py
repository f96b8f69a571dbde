"""Images that classifiers are tested on, in one form for the menagerie and for public sets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib.counterfactuals.datasets import Dataset
from cgnlib.measures import decisions
from cgnlib.measures.decisions import Table

CHUNK = 100  # images that a test gives at a time
NONE = "none"  # the response where no category is answered


def as_is(probabilities: Tensor) -> Tensor:
    """Every class is a category."""
    return probabilities


@dataclass(frozen=True)
class Stimuli:
    """The images of one test, and what each shows.

    condition: which test.  names: of the images.  categories: what can be answered.  category:
    the right answer to each, int64 [n]; texture, background: what the other cues show, if known.
    batches: all images in order.  decide: from probabilities
    [B, K] to scores of the categories [B, C], not negative; all 0 where no category is meant.
    by_head: answers that are right for a single subject, by its name.
    """

    condition: str
    names: list[str]
    categories: tuple[str, ...]
    category: Tensor
    batches: Callable[[], Iterator[Tensor]]
    decide: Callable[[Tensor], Tensor] = as_is
    texture: Tensor | None = None
    background: Tensor | None = None
    by_head: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def right(self, subject: str) -> Tensor:
        """The answers that are right for a subject, [n]."""
        return (self.by_head or {}).get(subject, self.category)

    def named(self, index: Tensor | None) -> list[str]:
        """Categories by name; `none` for -1, and nothing where a cue is unknown."""
        if index is None:
            return [""] * len(self)
        return [NONE if i < 0 else self.categories[i] for i in index.tolist()]


def decide(net: nn.Module, tests: Sequence[Stimuli], device: torch.device) -> Table:
    """The decisions of every subject of a classifier about every image of every test."""
    tables = []
    for test in tests:
        cues = {"texture": test.named(test.texture), "background": test.named(test.background)}
        for subject, (response, rank) in answers(net, test, device).items():
            right, said = test.named(test.right(subject)), test.named(response)
            shown = (subject, test.condition, test.names, right, said)
            tables.append(decisions.build(*shown, rank=rank.tolist(), **cues))
    return decisions.join(tables)


@torch.inference_mode()
def answers(
    net: nn.Module, test: Stimuli, device: torch.device
) -> dict[str, tuple[Tensor, Tensor]]:
    """What every subject of a classifier answers: by subject, responses [n] and ranks [n].

    response: index of the best category, -1 for none.  rank: the place of the right one, from 1.
    Raises RuntimeError when the batches do not hold the images of the test, or for a net that has
    diverged.
    """
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    seen = 0
    for x in tqdm(test.batches(), desc=test.condition, leave=False, disable=None):
        part = slice(seen, seen + len(x))
        seen += len(x)
        x = x.to(device, memory_format=torch.channels_last)
        for subject, logits in net(x).items():
            if not logits.isfinite().all():
                raise RuntimeError(f"{test.condition}: answers of {subject} are not finite")
            scores = test.decide(logits.float().softmax(1)).cpu()
            found.setdefault(subject, []).append(_answer(scores, test.right(subject)[part]))
    if seen != len(test):
        raise RuntimeError(f"{test.condition}: saw {seen} of {len(test)} images")
    return {
        subject: tuple(torch.cat(column) for column in zip(*parts, strict=True))
        for subject, parts in found.items()
    }


def _answer(scores: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    best, response = scores.max(1)
    rank = (scores > scores.gather(1, right[:, None])).sum(1) + 1
    silent = best <= 0
    return response.masked_fill(silent, -1), rank.masked_fill(silent, scores.shape[1])


def of_counterfactuals(
    data: Dataset, categories: tuple[str, ...], batches: Callable[[], Iterator[Tensor]]
) -> Stimuli:
    """A test on counterfactuals: each head is asked for its own cue, the others for the shape."""
    shape, texture, background = data.classes.T
    return Stimuli(
        "counterfactual", data.names, categories, shape, batches, texture=texture,
        background=background, by_head={"texture": texture, "bg": background},
    )  # fmt: skip
