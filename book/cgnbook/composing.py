"""The composer: a few samples of every part, and what classifiers say of every combination.

Parts and composed images are bytes, and composing is arithmetic on whole numbers: whoever composes
the same bytes, in Python or in a browser, has the very image that the classifiers were shown.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cgnlib import worlds
from cgnlib.chance import generator
from cgnlib.compute import digits as execute
from cgnlib.counterfactuals.mechanisms import DigitCGN, MenagerieCGN, Source
from cgnlib.data.images import to_bytes, to_signed
from cgnlib.errors import CGNError
from cgnlib.experiments import Run, with_needs
from cgnlib.nets import ensemble, weights
from cgnlib.nets.mnist import N_CLASSES
from cgnlib.runs.results import Result, folder_of

SEED = 29  # of the noise of the samples
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
    of = [r for r in results if r.run.kind == "classifier" and r.run.variant == variant]
    original, invariant = (_first(of, train_on=name) for name in ("original", "cgn"))
    [cgn] = [run for run in with_needs([invariant.run]) if run.kind == "cgn"]
    net = execute.load_cgn(_weights(cgn), cgn["latent"], cgn["ngf"])
    parts = sample(DigitCGN(net, SEED), samples)
    found = {}
    for name, result in (("original", original), ("cgn", invariant)):
        cnn = execute.load_cnn(_weights(result.run))
        found |= ask(lambda x, cnn=cnn, name=name: {name: cnn(x).exp()}, parts)
    return World(variant, parts, found, (cgn, original.run, invariant.run))


def menagerie(results: Iterable[Result], samples: int) -> World:
    """The menagerie: its CGN, the plain classifier, and the heads of the invariant one.

    results: of claim 3.  Raises CGNError where these are not among them.
    """
    of = [r for r in results if r.run.kind == "robustness" and r.run.variant == "menagerie"]
    plain, invariant = (
        _first(of, train_on=name).run.need("classifier") for name in ("plain", "real+cgn")
    )
    [images] = [run for run in with_needs([invariant]) if run.kind == "images"]
    cgn = images.need("generator")
    net = worlds.load("menagerie", _weights(cgn)).eval().fold(images["truncation"])
    parts = sample(MenagerieCGN(net, SEED, torch.device("cpu")), samples)
    one = weights.load(ensemble.Plain(ensemble.small_resnet()), _weights(plain)).eval()
    three = ensemble.Ensemble(ensemble.small_resnet(), generator(0))
    weights.load(three, _weights(invariant)).eval()
    found = ask(lambda x: _probabilities(one(x), ("plain",)), parts)
    found |= ask(lambda x: _probabilities(three(x), ensemble.HEADS), parts)
    return World("menagerie", parts, found, (cgn, plain, invariant))


def _probabilities(logits: Mapping[str, Tensor], subjects: Iterable[str]) -> dict[str, Tensor]:
    return {subject: logits[subject].softmax(1) for subject in subjects}


def _first(results: list[Result], train_on: str) -> Result:
    """The result of that setting whose CGN comes first and whose seed is lowest."""
    for result in results:
        if result.run["train_on"] == train_on:
            return result
    raise CGNError(f"no classifier among the results was trained on {train_on!r}")


def _weights(run: Run) -> Path:
    return folder_of(run) / "weights.safetensors"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums then do not depend on the number of cores, and small nets are faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
