"""From records to verdicts: what each source has to say about each claim."""

import re

import pandas as pd

from cgnlib import experiments
from cgnlib.experiments import TRAIN_SETS, VARIANTS
from cgnlib.report import evidence, imagenet, records, robustness, verdicts


def accuracies(
    frame: pd.DataFrame, generator: str = "trained"
) -> dict[str, dict[str, list[float]]]:
    """Test accuracies by variant and training set, one a run: what the verdict is made from.

    Runs of other claims in the frame are left out.  generator: `published`, or `trained` for the
    CGNs of our own; GANs are always our own.
    """
    rows = records.of_claim(frame[frame["metric"] == "test_accuracy"], "claim-3-mnist")
    by: dict[str, dict[str, list[float]]] = {}
    for row in rows.itertuples():
        uses_cgn = row.train_on.endswith("cgn")
        if row.train_on in TRAIN_SETS and not (
            uses_cgn and not row.generator.startswith(generator)
        ):
            by.setdefault(row.variant, {}).setdefault(row.train_on, []).append(float(row.value))
    return by


def told_accuracies(source: str) -> dict[str, dict[str, list[float]]]:
    """Reported test accuracies in the form of `accuracies`.

    source: paper, article, talk or cached.
    """
    rows = records.reported("mnist-classification", metric="test_accuracy", source=source)
    by: dict[str, dict[str, list[float]]] = {}
    for row in rows.itertuples():
        by.setdefault(row.column, {}).setdefault(row.row, []).append(float(row.value) / 100)
    return by


def means(accuracies: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """The mean over runs of what `accuracies` gives."""
    return {v: {t: sum(a) / len(a) for t, a in by.items()} for v, by in accuracies.items()}


def readings(frame: pd.DataFrame, generator: str = "trained") -> tuple[dict, dict]:
    """(share of counterfactuals read as intended, the same on real digits), means by variant."""
    rows = frame[frame["generator"].str.startswith(generator)].copy()
    rows["value"] = rows["value"].astype(float)
    by = rows.groupby(["metric", "variant"])["value"].mean()
    return tuple(by[m].to_dict() if m in by else {} for m in ("image_read", "image_read_true"))


def badge(outcome: str) -> str:
    """A verdict as the page shows it."""
    css = {verdicts.REPRODUCED: "reproduced", verdicts.PARTLY: "partly", verdicts.NOT: "not"}
    return f'<span class="verdict-{css.get(outcome, "not-run")}">{outcome}</span>'


def show(live: pd.DataFrame, profile: str) -> evidence.Shown:
    """The scorecard with its box."""
    markup = html(live, profile)
    lines = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in markup.split("</tr>")[:-1]]
    head, *body = [[re.sub(r"<.*?>", " ", cell).strip() for cell in line] for line in lines]
    claims = ("claim-1-mnist", "claim-2", "claim-3-mnist", "claim-3-imagenet")
    tables = ("mnist-classification", "loss-ablation", "shape-bias", "backgrounds")
    sources = [live, *(records.read(claim, "full") for claim in claims)]
    sources += map(records.reported, tables)
    box = evidence.box("scorecard", pd.DataFrame(body, columns=head), *sources)
    return evidence.Shown(markup + box)


def html(live: pd.DataFrame, profile: str) -> str:
    """Claim by source with verdict and effect, as HTML."""
    claim_1, claim_3 = (records.read(f"claim-{n}-mnist", "full") for n in (1, 3))
    reference = imagenet.measured(records.read("claim-2", "full"))
    measured = imagenet.measured(live[live["removed"] != ""])
    quality = {
        "Reference run": verdicts.counterfactual_quality(*readings(claim_1, "published"), VARIANTS),
        f"This run ({profile})": verdicts.counterfactual_quality(*readings(live), VARIANTS),
    }
    robust = {
        "Study": verdicts.robustness(told_accuracies("article"), VARIANTS),
        "Reference run": verdicts.robustness(accuracies(claim_3, "published"), VARIANTS),
        f"This run ({profile})": verdicts.robustness(accuracies(live), VARIANTS),
    }
    apart = {
        "Reference run": verdicts.mechanisms_apart(*imagenet.readings(reference)),
        f"This run ({profile})": verdicts.mechanisms_apart(*imagenet.readings(measured)),
    }
    needed = {
        "Study": verdicts.losses_needed(imagenet.told("article")),
        "Reference run": verdicts.losses_needed(reference),
        f"This run ({profile})": verdicts.losses_needed(measured),
    }
    in_world = {"menagerie": "On the menagerie.", "imagenet": "This run: on ImageNet."}
    place = in_world[experiments.profile(profile).world]
    tested = robustness.measured(live)
    reference_tested = robustness.measured(records.read("claim-3-imagenet", "full"))
    shape = {
        "Study": verdicts.shape_heads(robustness.told_biases("article", "in-mini")),
        "Reference run": verdicts.shape_heads(robustness.biases(reference_tested)),
        f"This run ({profile})": verdicts.shape_heads(robustness.biases(tested)),
    }
    ground = {
        "Study": verdicts.backgrounds(robustness.told_gaps("article", "in-mini+cgn")),
        "Reference run": verdicts.backgrounds(robustness.gaps(reference_tested)),
        f"This run ({profile})": verdicts.backgrounds(robustness.gaps(tested)),
    }
    by_eye = {"Study": badge("not measured") + "<br>judged by eye"}
    ratios = {source: _verdict_cell(v, "of the ceiling", 1) for source, v in quality.items()}
    mechanisms = {source: _verdict_cell(v, "of the ceiling", 1) for source, v in apart.items()}
    trends = {source: _trends_cell(v) for source, v in needed.items()}
    gains = {source: _verdict_cell(v, "points gained", 100) for source, v in robust.items()}
    rows = [
        ("Claim 1, MNISTs", "03_claim1_mnist", "Counterfactuals show the digit.", by_eye | ratios),
        (
            "Claim 1, ImageNet model",
            "03_claim1_imagenet",
            f"Shape, texture and background can be chosen one by one. {place}",
            by_eye | mechanisms,
        ),
        ("Claim 2", "04_claim2", f"Every loss is needed. {place}", trends),
        ("Claim 3, MNISTs", "05_claim3_mnist", "They make classifiers robust.", gains),
        (
            "Claim 3, shape bias",
            "06_claim3_shape_bias",
            f"A head that learns the shapes of counterfactuals decides by shape. {place}",
            {source: _trends_cell(v) for source, v in shape.items()},
        ),
        (
            "Claim 3, backgrounds",
            "07_claim3_backgrounds",
            f"Without its background head a classifier minds backgrounds less. {place}",
            {source: _trends_cell(v) for source, v in ground.items()},
        ),
    ]
    sources = list(robust)
    head = "".join(f'<th scope="col">{source}</th>' for source in ("Claim", *sources))
    body = "".join(
        f'<tr><th scope="row"><a href="book/{page}.html">{name}</a><br>{text}</th>'
        + "".join(f"<td>{cells[source]}</td>" for source in sources)
        + "</tr>"
        for name, page, text, cells in rows
    )
    return f'<table class="scorecard"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _trends_cell(verdict: verdicts.Verdict) -> str:
    if not verdict.effects:
        return badge(verdict.outcome)
    return f"{badge(verdict.outcome)}<br>{len(verdict.met)} of {len(verdict.effects)} trends"


def _verdict_cell(verdict: verdicts.Verdict, unit: str, scale: float) -> str:
    if not verdict.effects:
        return badge(verdict.outcome)
    digits = 0 if scale == 100 else 2
    effects = ", ".join(f"{scale * e:.{digits}f}" for e in verdict.effects.values())
    return f"{badge(verdict.outcome)}<br>{effects} {unit}"
