"""The evaluation of a tiny CGN, against its masks read again one image at a time."""

import numpy as np
import pytest
import torch
from tiny import TINY, VARIANT, cgn, use_an_eighth

from cgnlib import chance, runs
from cgnlib import experiments as e
from cgnlib.compute.nets_of import net_of
from cgnlib.counterfactuals.digits import interventions
from cgnlib.data import digits, variants
from cgnlib.measures.metrics import mask_coverage, nearest_iou
from cgnlib.runs.process import compute_one

RUN = TINY.evaluation(cgn())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The result, with what it needs, and the eighth of the digits that all of it saw."""
    with pytest.MonkeyPatch.context() as patch:
        use_an_eighth(patch)
        patch.setenv("CGN_RUNS", str(tmp_path_factory.mktemp("runs")))
        for run in e.with_needs([RUN]):
            compute_one(run)
        yield runs.load(RUN)


def test_an_evaluation_measures_in_fractions(finished):
    values = dict(finished.metrics)
    assert values.pop("usable_digits") in range(11)
    assert len(values) == 19 and all(0 <= v <= 1 for v in values.values())
    of_class = [values[f"mask_read_{digit}"] for digit in range(10)]
    assert values["mask_read"] == pytest.approx(sum(of_class) / 10)
    test = variants.load(VARIANT, "mnist-5k", "test", chance.generator(0))
    coverage = mask_coverage(test.mask.float()).mean().item()
    assert values["mask_coverage_true"] == pytest.approx(coverage)
    with np.load(finished.folder / "samples.npz") as stored:
        shapes = {name: stored[name].shape[:3] for name in stored}
        assert all(stored[name].dtype == np.uint8 for name in stored)
    ten, thirty = (10, 32, 32), (30, 32, 32)
    assert shapes == {"mask": ten, "fg": ten, "bg": ten, "x_gen": ten} | {
        "real": thirty, "counterfactual": thirty,
    }  # fmt: skip


def test_an_evaluation_is_of_the_cgns_own_masks(finished):
    net, probe, oracle = (
        net_of(need, runs.folder_of(need)) for need in (RUN.generator, RUN.probe, RUN.oracle)
    )
    y = torch.arange(20) // 2
    with torch.inference_mode():
        made = next(interventions(net, y, chance.generator(0, "evaluation")))
        bare = [(mask > 0.5).expand(3, 32, 32) * 2.0 - 1 for mask in made[0]]
        images = [m * f + (1 - m) * b for m, f, b in zip(*made[:3], strict=True)]
        read = {
            name: [reader(x[None]).argmax().item() for x in shown]
            for name, reader, shown in (("mask", probe, bare), ("image", oracle, images))
        }
    for name, classes in read.items():
        hits = [a == b for a, b in zip(classes, y.tolist(), strict=True)]
        assert finished.metrics[f"{name}_read"] == pytest.approx(sum(hits) / 20)
    true = digits.load_digits("mnist-5k", "train", VARIANT)
    iou = nearest_iou(made[0] > 0.5, y, digits.digit_masks(true), true.labels)
    assert finished.metrics["mask_iou"] == pytest.approx(iou.mean().item())
    binary = ((made[0] - 0.5).abs() > 0.4).float().mean().item()
    assert finished.metrics["mask_binary"] == pytest.approx(binary)
    assert finished.metrics["mask_coverage"] == pytest.approx(made[0].mean().item())
