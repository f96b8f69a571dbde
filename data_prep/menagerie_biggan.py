"""Train the menagerie's BigGAN: the generator that the CGN's mechanisms start from.

The generator is the class of pytorch_pretrained_biggan in a small configuration.  That class can
only run on stored statistics; here its batch norms are given those of the batch while it trains,
and its tables are filled afterwards, a row for each truncation.  The critic is a residual
projection discriminator with spectral norm and a hinge loss.  The weights that are kept are an
exponential moving average.  Train the classifier first (menagerie_readers.py): it measures the
samples for the record that is shipped with the weights.

    python data_prep/menagerie_biggan.py --minutes 60      # goes on from its last checkpoint
"""

import argparse
import copy
import itertools
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from pytorch_pretrained_biggan.model import BigGANBatchNorm
from torch import Tensor, nn
from torch.nn.utils import spectral_norm
from tqdm import tqdm

from cgnlib import chance, worlds
from cgnlib.chance import generator, seeded
from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.data import menagerie
from cgnlib.errors import ended
from cgnlib.measures import metrics
from cgnlib.nets import biggan, shipped
from cgnlib.training.checkpoints import Checkpoint
from ship import ship

SEED = 0
GROUPS, GROUP = 8, 4  # classes in a batch, images of each
RATE, RATE_CRITIC, BETAS = 3e-4, 8e-4, (0.0, 0.99)
IMAGES = 40_000
AVERAGE = 0.998  # what a step leaves of the moving average
CONFIG = biggan.BIGGAN_MENAGERIE


class BatchStatistics(BigGANBatchNorm):
    """The library's batch norm with the statistics of the batch, as training needs."""

    seen: list | None = None

    def forward(self, x: Tensor, truncation: float, condition_vector: Tensor | None = None):
        if self.seen is not None:
            var, mean = torch.var_mean(x, (0, 2, 3))
            self.seen.append((mean, var))
        x = F.batch_norm(x, None, None, training=True, eps=self.eps)
        if condition_vector is None:
            weight, bias = self.weight, self.bias
        else:
            weight, bias = 1 + self.scale(condition_vector), self.offset(condition_vector)
        return torch.addcmul(bias[..., None, None], x, weight[..., None, None])


class ThreeChannels(nn.Conv2d):
    """The library's last convolution without the channels that it drops."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight[:3], self.bias[:3], padding=self.padding)


class Critic(nn.Module):
    """Residual projection discriminator (Miyato and Koyama 2018) for 64-pixel images.

    x: [B, 3, 64, 64], y: [B], in groups of GROUP images of one class: how much the images of a
    group differ is a feature of its own, or else one image for every latent would pass.
    Returns a score for each image, [B].
    """

    def __init__(self, width: int = 20):
        super().__init__()
        self.stem = spectral_norm(nn.Conv2d(3, width, 4, 2, 1))
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.blocks = nn.ModuleList(map(_Down, widths[:-1], widths[1:]))
        last = widths[-1]
        self.join = spectral_norm(nn.Conv2d(last + 1, last, 3, padding=1))
        self.score = spectral_norm(nn.Linear(last, 1))
        self.classes = spectral_norm(nn.Embedding(10, last))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        spread = h.unflatten(0, (-1, GROUP)).std(1).mean(1, keepdim=True)
        spread = spread.repeat_interleave(GROUP, 0)
        h = F.relu(self.join(F.relu(torch.cat([h, spread], 1)))).sum((2, 3))
        return self.score(h)[:, 0] + (self.classes(y) * h).sum(1)


class _Down(nn.Module):
    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(c_in, c_out, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(c_in, c_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(F.relu(self.first(F.relu(x))))
        return F.avg_pool2d(h, 2) + self.skip(F.avg_pool2d(x, 2))


def norms(net: nn.Module) -> list[BigGANBatchNorm]:
    return [part for part in net.modules() if isinstance(part, BigGANBatchNorm)]


def build() -> nn.Module:
    """A generator that can be trained, orthogonally initialised, with the library's own names."""
    net = biggan.build(CONFIG)
    for part in norms(net):
        part.__class__ = BatchStatistics
    net.generator.conv_to_rgb.__class__ = ThreeChannels
    for name, weight in net.named_parameters():
        if name.endswith("weight_orig") or name == "embeddings.weight":
            nn.init.orthogonal_(weight)
    return net.to(memory_format=torch.channels_last)


def draw(n: int, truncation: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latents and one-hot classes."""
    y = torch.randint(0, CONFIG.num_classes, (n,), generator=rng)
    u = truncated_noise(n, CONFIG.z_dim, truncation, rng)
    return u, F.one_hot(y, CONFIG.num_classes).float()


def train(minutes: float, folder: Path) -> tuple[nn.Module, dict]:
    """Train until the time is over, with checkpoints; averaged generator, loop state."""
    rng = generator(SEED, "menagerie", "biggan")
    net, critic = seeded(build, rng), seeded(Critic, rng).to(memory_format=torch.channels_last)
    average = copy.deepcopy(net).requires_grad_(False)
    opt_g, opt_d = (
        torch.optim.Adam(part.parameters(), lr=rate, betas=BETAS, fused=True)
        for part, rate in ((net, RATE), (critic, RATE_CRITIC))
    )
    kept = {"net": net, "critic": critic, "average": average} | {"opt_g": opt_g, "opt_d": opt_d}
    kept |= {"rng": rng}
    end = time.monotonic() + 60 * minutes
    checkpoint = Checkpoint(folder / "checkpoint.pt", every=120)
    loop = checkpoint.load(kept) or {"step": 0, "seconds": 0.0, "history": []}
    images, labels = stored_images()
    of_class = [(labels == c).nonzero()[:, 0] for c in range(CONFIG.num_classes)]
    sums, began = {}, time.monotonic()
    for _ in tqdm(itertools.count(loop["step"]), initial=loop["step"], unit="step"):
        classes = torch.randperm(CONFIG.num_classes, generator=rng)[:GROUPS].tolist()
        index = torch.cat([_pick(of_class[c], rng) for c in classes])
        x, y = images[index].float().div_(127.5).sub_(1), labels[index]
        x = x.contiguous(memory_format=torch.channels_last)
        u = truncated_noise(len(y), CONFIG.z_dim, 1.0, rng)
        fake = net(u, F.one_hot(y, CONFIG.num_classes).float(), 1.0)

        critic.requires_grad_(True)
        scores = critic(torch.cat([x, fake.detach()]), torch.cat([y, y]))
        real, made = scores.split(len(y))
        loss_d = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        _update(opt_d, loss_d)
        critic.requires_grad_(False)
        loss_g = -critic(fake, y).mean()
        _update(opt_g, loss_g)
        _follow(average, net, min(AVERAGE, (loop["step"] + 1) / (loop["step"] + 10)))

        loop["step"] += 1
        for name, value in {"critic": loss_d, "generator": loss_g}.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if loop["step"] % 100 == 0:
            loop["seconds"] += time.monotonic() - began
            began = time.monotonic()
            row = {"step": loop["step"], "seconds": round(loop["seconds"], 1)}
            loop["history"].append(row | {name: total / 100 for name, total in sums.items()})
            sums = {}
        checkpoint.after_step(loop, kept)
        if time.monotonic() > end:
            break
    checkpoint.every = 0
    checkpoint.after_step(loop, kept)
    return average, loop


def stored_images() -> tuple[Tensor, Tensor]:
    """The training images as bytes, and their classes."""
    data = menagerie.Menagerie("agree", IMAGES, chance.PARTS_TRAIN)
    stored = torch.empty(IMAGES, 3, menagerie.SIZE, menagerie.SIZE, dtype=torch.uint8)
    for part in tqdm(torch.arange(IMAGES).split(500), unit="x500"):
        stored[part] = data.batch(part)[0].add_(1).mul_(127.5).round_().byte()
    return stored, data.y


@torch.no_grad()
def fill_statistics(net: nn.Module, batches: int = 4, size: int = 128) -> None:
    """Standing statistics (BigGAN, appendix C.1) for every stored truncation, in place."""
    tables = norms(net)
    rng = generator(SEED, "menagerie", "statistics")
    net.eval()
    for row in tqdm(range(1, CONFIG.n_stats), unit="truncation"):
        truncation = row / (CONFIG.n_stats - 1)
        for part in tables:
            part.seen = []
        for _ in range(batches):
            net(*draw(size, truncation, rng), truncation)
        for part in tables:
            means, variances = (torch.stack(column) for column in zip(*part.seen, strict=True))
            part.running_means[row] = means.mean(0)
            # the variance over all batches: within them, and of their means
            part.running_vars[row] = variances.mean(0) + means.var(0, correction=0)
            part.seen = None
    for part in tables:  # nothing can be drawn at truncation 0
        part.running_means[0], part.running_vars[0] = part.running_means[1], part.running_vars[1]


@torch.inference_mode()
def measure(net: nn.Module, n: int = 2000, truncation: float = 0.5) -> dict[str, float]:
    """How its samples fare with the shipped classifier, next to true images."""
    judge = worlds.find("menagerie").judge("standard")
    rng = generator(SEED, "menagerie", "measure")
    y = torch.randint(0, CONFIG.num_classes, (n,), generator=rng)
    u = truncated_noise(n, CONFIG.z_dim, truncation, rng)
    folded = biggan.fold(net, truncation)
    made = torch.cat([judge(folded(u[part], y[part])) for part in torch.arange(n).split(100)])
    data = menagerie.Menagerie("agree", n, chance.PARTS_TEST)
    true = torch.cat([judge(data.batch(part)[0]) for part in torch.arange(n).split(100)])
    score, real = (metrics.inception_score(answers, 2)[0] for answers in (made, true))
    return {
        "class_read": (made.argmax(1) == y).float().mean().item(),
        "inception_score": score,
        "inception_score_real": real,
    }


def _pick(items: Tensor, rng: torch.Generator) -> Tensor:
    return items[torch.randint(len(items), (GROUP,), generator=rng)]


def _follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)
    torch._foreach_copy_(list(average.buffers()), list(net.buffers()))


def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long to train (default 60)")
    parser.add_argument("--folder", type=Path, default=Path("runs/menagerie-biggan"))
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    args = parser.parse_args()
    if not 1 <= args.threads <= 256 or not 0 < args.minutes < math.inf:
        parser.error("--threads: 1 to 256; --minutes: above 0")
    torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    net, loop = train(args.minutes, args.folder)
    fill_statistics(net)
    for part in norms(net):
        part.__class__ = BigGANBatchNorm
    record = {"images": IMAGES, "batch": GROUPS * GROUP, "rate": RATE}
    record |= {"rate_critic": RATE_CRITIC, "seed": SEED}
    record |= {"steps": loop["step"], "seconds": round(loop["seconds"])}
    ship("biggan", net, record | measure(net))
    print(shipped.record("biggan"))


if __name__ == "__main__":
    sys.exit(ended(main, "the same command goes on from its last checkpoint"))
