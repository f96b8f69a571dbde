"""How good a CGN's masks and counterfactuals are, read by nets that never saw it.

The probe reads bare masks, the oracle whole images; both learned from true digits only.
"""

import torch
from torch import Tensor

from cgnlib import experiments as e
from cgnlib.chance import generator
from cgnlib.compute import Found, Job
from cgnlib.compute.digits import CHUNK, predict, split_of, test_of
from cgnlib.compute.nets_of import net_of
from cgnlib.counterfactuals.digits import interventions
from cgnlib.data.digits import digit_masks, load_digits
from cgnlib.measures import metrics
from cgnlib.nets import mnist


def _evaluation(run: e.Evaluation, job: Job) -> Found:
    net, probe, oracle = (
        net_of(run.needs[role], job.needs[role]) for role in ("generator", "probe", "oracle")
    )
    rng = generator(run.seed, "evaluation")
    y = torch.arange(10).repeat_interleave(run.evaluated // 10)
    with torch.inference_mode():
        mask, fg, bg, _, _ = next(interventions(net, y, rng))
        x_gen = mnist.compose(mask, fg, bg)
        hard = mask > 0.5
    read = read_masks(probe, hard) == y
    digits = load_digits(run.digits, "train", run.variant)
    true = digit_masks(digits, run.variant)
    test = test_of(run)
    shares = {
        "mask_coverage": metrics.mask_coverage(mask),
        "mask_coverage_true": test.mask,
        "mask_binary": (mask < 0.1) | (mask > 0.9),
        "mask_iou": metrics.nearest_iou(hard, y, true, digits.labels),
        "mask_iou_true": metrics.nearest_iou(test.mask, test.y, true, digits.labels),
        "mask_read": read,
        "mask_read_true": read_masks(probe, test.mask) == test.y,
        "image_read": _read(oracle, x_gen) == y,
        "image_read_true": predict(oracle, test) == test.y,
    }
    of_class = {f"mask_read_{label}": read[y == label] for label in range(10)}
    found = {name: x.float().mean().item() for name, x in (shares | of_class).items()}
    usable = sum(found[name] >= 0.5 for name in of_class)
    _show(run, net, job)
    return Found(found | {"usable_digits": usable})


def read_masks(net: mnist.CNN, hard: Tensor) -> Tensor:
    """The digits that a reader of bare masks names, [B].  hard: [B, 1, H, W], of bools."""
    return _read(net, hard.expand(-1, 3, -1, -1).float() * 2 - 1)


@torch.inference_mode()
def _read(net: mnist.CNN, x: Tensor) -> Tensor:
    return torch.cat([net(part).argmax(1) for part in x.split(CHUNK)])


def _show(run: e.Evaluation, net: mnist.CGN, job: Job) -> None:
    """What the chapter's figure shows: real images, mechanisms and counterfactuals."""
    data = split_of(run, "train", generator(run.seed, "samples", "real"))
    first = torch.stack([(data.y == label).nonzero()[:3, 0] for label in range(10)])
    y, rng = torch.arange(10), generator(run.seed, "samples")
    with torch.inference_mode():
        mask, fg, bg = net(net.draw_latent(10, rng), y, rng)
        shapes = y.repeat_interleave(3)
        parts = next(interventions(net, shapes, rng))[:3]
        pictures = {
            "real": data.batch(first.flatten())[0],
            "mask": mask * 2 - 1,
            "fg": fg,
            "bg": bg,
            "x_gen": mnist.compose(mask, fg, bg),
            "counterfactual": mnist.compose(*parts),
        }
    job.show(pictures)


KINDS = {e.Evaluation: _evaluation}
