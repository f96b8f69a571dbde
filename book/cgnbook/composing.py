"""The composer: a few samples of every part, and what classifiers say of every combination.

Parts and composed images are bytes, and composing is arithmetic on whole numbers: whoever composes
the same bytes, in Python or in a browser, has the very image that the classifiers were shown.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cgnlib.chance import COMPOSER
from cgnlib.compute.nets_of import net_of
from cgnlib.counterfactuals.mechanisms import DigitCGN, MenagerieCGN, Source
from cgnlib.data.images import to_bytes, to_signed
from cgnlib.errors import CGNError
from cgnlib.experiments import Classifier, Robustness, Run
from cgnlib.nets import ensemble
from cgnlib.nets.mnist import N_CLASSES
from cgnlib.runs.results import Result, folder_of

CUES = ("shape", "texture", "background")

Classify = Callable[[Tensor], dict[str, Tensor]]  # images in -1...1 to probabilities by subject


@dataclass(frozen=True)
class Parts:
    """mask [N, 1, H, W], fg and bg [N, 3, H, W], bytes; the samples of a class lie together."""

    mask: Tensor
    fg: Tensor
    bg: Tensor
    samples: int

    @property
    def y(self) -> Tensor:
        """The class of each part, [N]."""
        return torch.arange(len(self.mask)) // self.samples


@dataclass(frozen=True)
class Answers:
    """label and percent (of its probability), bytes, [N, N, N] by shape, texture, background."""

    label: Tensor
    percent: Tensor


@dataclass(frozen=True)
class World:
    """The parts of a CGN, the answers by subject, and the runs that both come from."""

    name: str
    parts: Parts
    answers: dict[str, Answers]
    runs: tuple[Run, ...]


@torch.inference_mode()
def sample(source: Source, samples: int, classes: int = N_CLASSES) -> Parts:
    """Parts of every class from a source of the MNISTs or the menagerie."""
    y = torch.arange(classes)
    made = []
    with _one_thread():
        for mechanism in range(3):
            drawn = [source.part(mechanism, y, 0, y + s * classes) for s in range(samples)]
            made.append(torch.stack(drawn, 1).flatten(0, 1))
    mask, fg, bg = made
    return Parts(to_bytes(mask[:, :1] * 2 - 1), to_bytes(fg), to_bytes(bg), samples)


def compose(mask: Tensor, fg: Tensor, bg: Tensor) -> Tensor:
    """m*f + (1-m)*b of bytes, rounded, as bytes; the shapes broadcast."""
    m = mask.int()
    return ((m * fg.int() + (255 - m) * bg.int() + 127) // 255).to(torch.uint8)


@torch.inference_mode()
def ask(classify: Classify, parts: Parts) -> dict[str, Answers]:
    """What every subject of a classifier says of every combination of the parts."""
    n = len(parts.mask)
    labels: dict[str, list[Tensor]] = {}
    percents: dict[str, list[Tensor]] = {}
    for mask in parts.mask:
        x = to_signed(compose(mask, parts.fg[:, None], parts.bg).flatten(0, 1))
        with _one_thread():
            found = classify(x.contiguous(memory_format=torch.channels_last))
        for subject, probabilities in found.items():
            p, label = probabilities.max(1)
            labels.setdefault(subject, []).append(label.byte().view(n, n))
            percents.setdefault(subject, []).append((100 * p).round().byte().view(n, n))
    return {s: Answers(torch.stack(labels[s]), torch.stack(percents[s])) for s in labels}


def followed(answers: Answers, parts: Parts) -> dict[str, float]:
    """Shares of the combinations of three different classes whose answer is that of each cue."""
    y = parts.y
    cues = torch.meshgrid(y, y, y, indexing="ij")
    differ = (cues[0] != cues[1]) & (cues[1] != cues[2]) & (cues[0] != cues[2])
    said = answers.label[differ]
    if not len(said):
        raise ValueError("no combination has three different classes; shares are undefined")
    return {
        cue: (said == of[differ]).double().mean().item() for cue, of in zip(CUES, cues, strict=True)
    }


def agreed(answers: Answers, parts: Parts) -> float:
    """Share of the combinations of one class alone whose answer is that class."""
    y = parts.y
    same = (y[:, None, None] == y[:, None]) & (y[:, None] == y)
    return (answers.label == y[:, None, None])[same].double().mean().item()


def digits(variant: str, results: Iterable[Result], samples: int) -> World:
    """A variant of MNIST: its first CGN, and a classifier each on original and on its images.

    results: of claim 3.  Raises CGNError where these are not among them.
    """
    declared = [r.run for r in results if isinstance(r.run, Classifier)]
    of = {name: _first(declared, variant, name) for name in ("original", "cgn")}
    cgn = of["cgn"].set.generator
    parts = sample(DigitCGN(_net(cgn), COMPOSER), samples)
    found = {}
    for name, run in of.items():
        cnn = _net(run)
        found |= ask(lambda x, cnn=cnn, name=name: {name: cnn(x).exp()}, parts)
    return World(variant, parts, found, (cgn, *of.values()))


def menagerie(results: Iterable[Result], samples: int) -> World:
    """The menagerie: its CGN, the plain classifier, and the heads of the invariant one.

    results: of claim 3.  Raises CGNError where these are not among them.
    """
    declared = [r.run for r in results if isinstance(r.run, Robustness)]
    plain, invariant = (
        _first(declared, "menagerie", name).classifier for name in ("plain", "real+cgn")
    )
    images = invariant.images
    net = _net(images.generator).fold(images.recipe.truncation)
    parts = sample(MenagerieCGN(net, COMPOSER, torch.device("cpu")), samples)
    one, three = _net(plain), _net(invariant)
    found = ask(lambda x: _probabilities(one(x), ("plain",)), parts)
    found |= ask(lambda x: _probabilities(three(x), ensemble.HEADS), parts)
    return World("menagerie", parts, found, (images.generator, plain, invariant))


def _probabilities(logits: Mapping[str, Tensor], subjects: Iterable[str]) -> dict[str, Tensor]:
    return {subject: logits[subject].softmax(1) for subject in subjects}


def _first(
    declared: Iterable[Classifier | Robustness], variant: str, train_on: str
) -> Classifier | Robustness:
    """The run of that setting whose CGN comes first and whose seed is lowest."""
    for run in declared:
        if (run.variant, run.train_on) == (variant, train_on):
            return run
    raise CGNError(f"no classifier among the results was trained on {train_on!r}")


def _net(run: Run) -> nn.Module:
    return net_of(run, folder_of(run))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums then do not depend on the number of cores, and small nets are faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
