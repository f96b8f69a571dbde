"""Sentences that speak of the tracked run of `mini`: its record must bear them out."""

import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from cgnbook import (
    ablated,
    discussion,
    disentanglement,
    explanations,
    imagenet,
    records,
    retraining,
    scorecard,
    set_size,
    union,
    verdict,
)
from cgnbook import heads as robustness
from cgnlib import paths
from cgnlib.data.menagerie import CLASSES

BOOK = paths.ROOT / "book"


def heads():
    return robustness.measured(records.read("claim-3-imagenet", "mini"))


def mean(values):
    return sum(values) / len(values)


def the_score_falls_without_reconstruction_alone():
    of = imagenet.measured(records.read("claim-2", "mini"))
    changes = verdict.losses_needed(of).effects
    scores = {trend: c for trend, c in changes.items() if "inception score" in trend}
    fell = scores.pop("without L_rec the inception score falls")
    return fell < -0.1 and all(abs(c) < 0.01 for c in scores.values())


def backgrounds_decide_without_counterfactuals():
    by = heads()
    others = [by["plain"]["plain"], *by["real"].values()]
    return all(
        mean(of["cue_background"]) > max(mean(of["cue_shape"]), mean(of["cue_texture"]))
        for of in others
        if "cue_background" in of
    )


def background_easiest_and_shape_hardest():
    of = {h: mean(m["counterfactual_top1"]) for h, m in heads()["real+cgn"].items()
          if h in ("shape", "texture", "bg")}  # fmt: skip
    return of["bg"] > of["texture"] > of["shape"]


def the_background_head_follows_the_background():
    of = heads()["real+cgn"]["bg"]
    return min(of["cue_background"]) > 0.9


def the_mean_of_heads_has_no_more_bias_but_follows_both_more():
    by = heads()
    avg, plain = by["real+cgn"]["avg"], by["plain"]["plain"]
    return mean(avg["shape_bias"]) <= mean(plain["shape_bias"]) and all(
        mean(avg[cue]) > mean(plain[cue]) for cue in ("cue_shape", "cue_texture")
    )


def the_reference_mean_has_more_bias_than_plain():
    by = robustness.measured(records.read("claim-3-imagenet", "full"))
    return min(by["real+cgn"]["avg"]["shape_bias"]) > max(by["plain"]["plain"]["shape_bias"])


def longer_training_rounds_the_shapes():
    full, mini = (
        imagenet.measured(records.read("claim-1-imagenet", p))["none"] for p in ("full", "mini")
    )
    return max(full["shape_read"]) < min(mini["shape_read"])


def the_key_is_read_least():
    rows = records.read("disentanglement", "mini")
    rows = rows[rows.run == "disentanglement-menagerie-none-s0"].set_index("metric").value
    by = {name: float(rows[f"shape_read_{i}"]) for i, name in enumerate(CLASSES)}
    return min(by, key=by.get) == "key"


def the_loss_on_the_mask_does_harm():
    of = imagenet.measured(records.read("claim-2", "full"))
    return min(of["shape"]["shape_read"]) > max(of["none"]["shape_read"]) + 0.1


def longer_training_leaks_no_less():
    full, mini = (
        discussion.of_leaks(records.read("disentanglement", p), "menagerie")
        for p in ("full", "mini")
    )
    return all(
        full[f"leak-{cue}-cgn"] >= mini[f"leak-{cue}-cgn"] for cue in ("texture", "background")
    )


def a_quarter_is_left_before_random_backgrounds():
    by = heads()
    mine = [by["plain"]["plain"], by["real"]["avg"]]
    two, three = by["real+cgn"]["shape_texture"], by["real+cgn"]["avg"]
    return all(0.2 < mean(of["mixed_rand"]) < 0.3 for of in mine) and (
        mean(two["mixed_rand"]) > mean(three["mixed_rand"]) > 0.3
    )


def the_control_minds_the_background_as_much():
    by = heads()
    plain = mean(by["plain"]["plain"]["bg_gap"])
    no_less = all(mean(of["bg_gap"]) >= plain for of in by["real"].values())
    gaps = {head: mean(of["bg_gap"]) for head, of in by["real+cgn"].items()}
    return no_less and max(gaps, key=gaps.get) == "bg"


def the_effect_on_backgrounds_is_larger_than_the_papers():
    mine = verdict.backgrounds(robustness.gaps(heads())).effects
    paper = verdict.backgrounds(robustness.told_gaps("paper", "in+cgn")).effects
    return all(abs(mine[t]) > 10 * abs(paper[t]) for t in mine)


def ensembles_are_level_on_real_images():
    by = heads()
    plain, avg = by["plain"]["plain"], by["real+cgn"]["avg"]
    return mean(plain["real_top1"]) == mean(avg["real_top1"]) and (
        mean(plain["cue_shape"]) < mean(avg["cue_shape"])
    )


def no_rise_comes_from_the_digit():
    live = records.read("explanations", "mini")

    def change(variant, metric):
        after, before = (
            mean(explanations.of_cell(live, variant, of, metric)) for of in ("cgn", "original")
        )
        return after - before

    down = ("foreground_iou", "average_precision")
    return all(
        change(v, "background_iou") > 0 and all(change(v, metric) < 0 for metric in down)
        for v in scorecard.told_accuracies("paper")
    )


def features_tell_the_cue_and_not_the_digit():
    live = records.read("explanations", "mini")

    def read(variant, of, cue):
        return mean(explanations.of_cell(live, variant, of, f"{cue}_read"))

    hard = ("double_colored", "wildlife")
    return (
        all(
            read(v, "original", "background") > 0.9
            and read(v, "original", "digit") < 0.15
            and read(v, "cgn", "background") > 0.3
            for v in hard
        )
        and min(read("colored", "original", cue) for cue in ("digit", "foreground")) > 0.5
    )


def the_reference_union_is_worse_on_all_three():
    of = scorecard.means(scorecard.accuracies(records.read("claim-3-mnist", "full"), "published"))
    return len(of) == 3 and all(by["original+cgn"] < by["cgn"] for by in of.values())


def the_middle_size_tells_the_ratios_apart():
    of = records.read("set-size", "mini")
    of = of[(of.metric == "test_accuracy") & (of.epochs == of.epochs.min())]
    by = of.groupby(["size", "per_shape"]).value.agg(["mean", "min", "max"])
    gap = {n: abs(g["mean"].iloc[-1] - g["mean"].iloc[0]) for n, g in by.groupby(level="size")}
    few, middle, many = (gap[n] for n in sorted(gap))
    seeds = (by["max"] - by["min"]).loc[max(gap)].max()
    return middle > max(few, many) and many <= seeds


def a_tenth_is_harmless_and_c_mnist_holds_out_longest():
    records_of = (records.read(claim, "full") for claim in ("union-shares", "claim-3-mnist"))
    lost = {
        v: {s: mean(of[0.0]) - mean(a) for s, a in of.items()}
        for v, of in union.by_share(*records_of).items()
    }
    return (
        lost["colored"][0.1] < -0.01
        and all(abs(lost[v][0.1]) < 0.01 for v in ("double_colored", "wildlife"))
        and all(
            lost["colored"][s] < lost["double_colored"][s] < lost["wildlife"][s] for s in (0.5, 0.9)
        )
    )


def no_ticket_comes_near_and_the_edge_loss_mends():
    frames = (records.read(claim, "full") for claim in ("claim-1-mnist", "edge-loss"))
    of = retraining.cgns(*frames)
    by = of[of.variant == "colored"].groupby("recipe").usable
    others = of[(of.recipe == "trained") & (of.variant != "colored")].groupby("variant").usable
    return by.max()["trained"] < 8 and by.min()["edge"] > 8 and (others.mean() >= 9).all()


def readers_tell_in_advance():
    frames = [records.read(c, "full") for c in ("claim-1-mnist", "claim-3-mnist", "edge-loss")]
    found = retraining.facts(retraining.cgns(*frames))
    apart = [value for name, value in found.items() if name.startswith("apart")]
    return found["rank"] > 0.8 and min(apart) > 3 * found["within"]


def separation_and_accuracy_rise_together():
    scores, accuracies, edged = (
        records.read(c, "full") for c in ("disentanglement", "claim-3-mnist", "edge-loss")
    )
    found = disentanglement.points(pd.concat([scores, edged]), pd.concat([accuracies, edged]))
    rhos, chance = disentanglement.association(found)
    return len(rhos) == 3 and min(rhos.values()) > 0 and chance < 0.01


def ten_thousand_are_nearly_enough():
    of = set_size.repeated(set_size.cells(records.read("set-size", "full")))
    hard = [of[v] for v in ("double_colored", "wildlife")]
    return all(o.size == 10_000 and o.share > 0.75 for o in hard) and (
        set_size.behind(of["colored"]) == set_size.NO_RISE
    )


def the_worst_masks_are_of_other_digits():
    rows = records.read("claim-1-mnist", "mini")
    rows = rows[rows.metric.str.fullmatch(r"mask_read_\d")]
    worst = rows.loc[rows.groupby("variant").value.idxmin()]
    return worst.metric.str[-1].astype(int).min() > 3


def made_worse():
    classifiers = [records.read(c, "full") for c in ("claim-3-imagenet", "ablated-robustness")]
    found = ablated.points(records.read("disentanglement", "full"), pd.concat(classifiers))
    return found, {name: of for name, of in found.groupby("removed")}


def shape_heads_follow_separation():
    found, by = made_worse()
    shape = {name: of["shape/cue_shape"] for name, of in by.items()}
    better = [shape[name] for name in ("shape", "none", "texture", "background")]
    return (
        ablated.facts(found)["rho-shape"] > 0.8
        and all(a.min() > b.max() for a, b in pairwise(better))
        and by["background"].share.max() < by["reconstruction"].share.min()
        and shape["background"].mean() > shape["reconstruction"].mean()
        and by["shape"]["avg/cue_shape"].mean() <= by["none"]["avg/cue_shape"].mean()
    )


def the_gap_stays_wide_without_reconstruction_alone():
    found, _ = made_worse()
    gap = found.groupby("removed")["shape_texture/bg_gap"].mean()
    read = imagenet.measured(records.read("claim-2", "full"))["reconstruction"]["background_read"]
    return gap.pop("reconstruction") > 0.2 and gap.max() < 0.06 and max(read) < 0.8


SENTENCES = [
    ("12_disentanglement", "The better a CGN keeps its mechanisms apart, the more of the conflicts",
     shape_heads_follow_separation),
    ("12_disentanglement", "Four of the five kinds bring it down to a few points",
     the_gap_stays_wide_without_reconstruction_alone),
    ("16_discussion", "stays wide only without the reconstruction losses",
     the_gap_stays_wide_without_reconstruction_alone),
    ("13_set_size", "ten thousand counterfactuals were nearly enough",
     ten_thousand_are_nearly_enough),
    ("12_disentanglement", "Taken together the answer on the digits is yes",
     separation_and_accuracy_rise_together),
    ("16_discussion", "disentanglement and the accuracy of the classifiers that learn from it rise",
     separation_and_accuracy_rise_together),
    ("14_union", "A tenth of originals does no harm",
     a_tenth_is_harmless_and_c_mnist_holds_out_longest),
    ("05_claim1_mnist", "no ticket of ours comes near the published checkpoint",
     no_ticket_comes_near_and_the_edge_loss_mends),
    ("08_claim3_mnist", "Much of what decides can be read before any classifier is trained",
     readers_tell_in_advance),
    ("16_discussion", "depends far more on which CGN was trained than on the classifier's own seed",
     readers_tell_in_advance),
    ("07_claim2", "At `mini` the inception score falls without",
     the_score_falls_without_reconstruction_alone),
    ("08_claim3_mnist", "With the published CGNs the reference run finds it worse on all three",
     the_reference_union_is_worse_on_all_three),
    ("13_set_size", "At `mini` most of it is at the middle size",
     the_middle_size_tells_the_ratios_apart),
    ("09_claim3_shape_bias", "At `mini` the plain classifier goes by what fills most",
     backgrounds_decide_without_counterfactuals),
    ("09_claim3_shape_bias", "At `mini` the background is the easiest cue and the shape",
     background_easiest_and_shape_hardest),
    ("09_claim3_shape_bias", "At `mini` it follows the background in more than nine of ten",
     the_background_head_follows_the_background),
    ("09_claim3_shape_bias", "at `mini` this mean has no more shape bias than the plain",
     the_mean_of_heads_has_no_more_bias_but_follows_both_more),
    ("09_claim3_shape_bias", "Only after the longer training of the reference run does the mean",
     the_reference_mean_has_more_bias_than_plain),
    ("06_claim1_imagenet", "But its masks are blunter still", longer_training_rounds_the_shapes),
    ("05_claim1_mnist", "at `mini` not those with the worst masks",
     the_worst_masks_are_of_other_digits),
    ("06_claim1_imagenet", "At `mini` the key suffers most", the_key_is_read_least),
    ("07_claim2", "There the loss does harm", the_loss_on_the_mask_does_harm),
    ("16_discussion", "unless the losses on the mask are left out",
     the_loss_on_the_mask_does_harm),
    ("16_discussion", "Longer training does not mend it", longer_training_leaks_no_less),
    ("10_claim3_backgrounds", "At `mini` hardly anything separates the classifiers",
     a_quarter_is_left_before_random_backgrounds),
    ("10_claim3_backgrounds", "At `mini` the control, three heads and no counterfactuals",
     the_control_minds_the_background_as_much),
    ("10_claim3_backgrounds", "At `mini` the effect is far larger than in the paper",
     the_effect_on_backgrounds_is_larger_than_the_papers),
    ("15_out_of_distribution", "At `mini` plain classifier and ensemble are equally accurate",
     ensembles_are_level_on_real_images),
    ("11_explanations", "At `mini` no rise of it comes from the digit",
     no_rise_comes_from_the_digit),
    ("11_explanations", "at `mini` the features of DC- and W-MNIST tell the background",
     features_tell_the_cue_and_not_the_digit),
]  # fmt: skip


def named(part):
    return getattr(part, "__name__", str(part)[:50])


@pytest.mark.parametrize(("chapter", "words", "holds"), SENTENCES, ids=named)
def test_the_record_bears_the_sentence_out(chapter, words, holds):
    text = re.sub(r"\s+", " ", (BOOK / Path(chapter).with_suffix(".md")).read_text())
    assert words in text, "the sentence has changed: change its test with it"
    assert holds(), "the record no longer bears this out: change the sentence"
