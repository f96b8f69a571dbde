"""Sentences that speak of tracked runs: the facts or their records must bear them out."""

import re
from itertools import pairwise

import numpy as np
import pytest
import tracked

from cgnbook import ablations, film, heads, lottery, retrained
from cgnbook.chapters import (
    claim3_backgrounds,
    claim3_mnist,
    disentanglement,
    explanations,
    set_size,
    union,
)
from cgnbook.chapters.explanations import of_cell, of_published
from cgnbook.digits import accuracies, cgns, means
from cgnbook.names import CONTROL, INVARIANT, PLAIN
from cgnbook.verdict import mean
from cgnlib import paths
from cgnlib.data.menagerie import CLASSES
from cgnlib.experiments import VARIANTS

HARD = ("double_colored", "wildlife")
HEADS = ("shape", "texture", "bg")


def ensembles(rows):
    """The plain classifier, the heads of the control and those of the invariant one: means."""
    by = {t: {s: {m: mean(v) for m, v in of.items()} for s, of in subjects.items()}
          for t, subjects in heads.measured(rows).items()}  # fmt: skip
    return by[PLAIN]["plain"], by[CONTROL], by[INVARIANT]


def the_score_falls_without_reconstruction_alone(f, this):
    changes = f["verdict-live"].effects
    scores = {trend: c for trend, c in changes.items() if "inception score" in trend}
    fell = scores.pop("without L_rec the inception score falls")
    return fell < -0.1 and all(abs(c) < 0.01 for c in scores.values())


def backgrounds_decide_without_counterfactuals(f, this):
    plain, control, _ = ensembles(this.live)
    return all(
        of["cue_background"] > max(of["cue_shape"], of["cue_texture"])
        for of in (plain, *control.values())
        if "cue_background" in of
    )


def background_easiest_and_shape_hardest(f, this):
    of = ensembles(this.live)[2]
    named = [of[head]["counterfactual_top1"] for head in ("bg", "texture", "shape")]
    return named == sorted(named, reverse=True) and len(set(named)) == 3


def the_background_head_follows_the_background(f, this):
    return min(heads.measured(this.live)[INVARIANT]["bg"]["cue_background"]) > 0.9


def the_mean_of_heads_has_no_more_bias_but_follows_both_more(f, this):
    plain, _, invariant = ensembles(this.live)
    avg = invariant["avg"]
    more = all(avg[cue] > plain[cue] for cue in ("cue_shape", "cue_texture"))
    return avg["shape_bias"] <= plain["shape_bias"] and more


def the_reference_mean_has_more_bias_than_plain(f, this):
    by = heads.measured(this.reference)
    return min(by[INVARIANT]["avg"]["shape_bias"]) > max(by[PLAIN]["plain"]["shape_bias"])


def longer_training_rounds_the_shapes(f, this):
    full, mini = (ablations.measured(of)["none"] for of in (this.reference, this.live))
    return max(full["shape_read"]) < min(mini["shape_read"])


def the_key_is_read_least(f, this):
    rows = tracked.page_of("12_disentanglement").live
    rows = rows[rows.run == "disentanglement-menagerie-none-s0"].set_index("metric").value
    read = [rows[f"shape_read_{i}"] for i in range(len(CLASSES))]
    return CLASSES[read.index(min(read))] == "key"


def the_loss_on_the_mask_does_harm(f, this):
    of = ablations.measured(tracked.page_of("07_claim2").reference)
    return min(of["shape"]["shape_read"]) > max(of["none"]["shape_read"]) + 0.1


def a_quarter_is_left_before_random_backgrounds(f, this):
    plain, control, invariant = ensembles(this.live)
    two, three = (invariant[head]["mixed_rand"] for head in ("shape_texture", "avg"))
    alike = (of["mixed_rand"] for of in (plain, control["avg"]))
    return all(0.1 < share < 0.26 for share in alike) and two > three > 0.3


def the_control_minds_the_background_as_much(f, this):
    plain, control, invariant = ensembles(this.live)
    no_less = all(of["bg_gap"] >= plain["bg_gap"] for of in control.values())
    return no_less and max(invariant, key=lambda head: invariant[head]["bg_gap"]) == "bg"


def the_effect_on_backgrounds_is_larger_than_the_papers(f, this):
    of = claim3_backgrounds.verdicts(this)
    mine, paper = of[this.label].effects, of["Paper"].effects
    return all(abs(mine[trend]) > 10 * abs(paper[trend]) for trend in mine)


def ensembles_are_level_on_real_images(f, this):
    plain, _, invariant = ensembles(this.live)
    avg = invariant["avg"]
    return plain["real_top1"] == avg["real_top1"] and plain["cue_shape"] < avg["cue_shape"]


def no_rise_comes_from_the_digit(f, this):
    def change(variant, metric):
        after, before = (
            mean(of_cell(this.live, variant, of, metric)) for of in ("cgn", "original")
        )
        return after - before

    return all(
        change(v, "background_iou") > 0 > max(change(v, "foreground_iou"), change(v, AP))
        for v in VARIANTS
    )


AP = "average_precision"


def features_tell_the_cue_and_not_the_digit(f, this):
    def read(variant, of, cue):
        return mean(of_cell(this.live, variant, of, f"{cue}_read"))

    return (
        all(
            read(v, "original", "background") > 0.9
            and read(v, "original", "digit") < 0.15
            and read(v, "cgn", "background") > 0.3
            for v in HARD
        )
        and min(read("colored", "original", cue) for cue in ("digit", "foreground")) > 0.5
    )


def the_reference_union_is_worse_on_all_three(f, this):
    of = means(accuracies(this.reference))
    return len(of) == 3 and all(by["original+cgn"] < by["cgn"] for by in of.values())


def the_middle_size_tells_the_ratios_apart(f, this):
    of = set_size.sources(this)[this.label]
    by = of[~of.longer].groupby(["size", "per_shape"]).accuracy.agg(["mean", "min", "max"])
    gap = {n: abs(g["mean"].iloc[-1] - g["mean"].iloc[0]) for n, g in by.groupby(level="size")}
    few, middle, many = (gap[n] for n in sorted(gap))
    seeds = (by["max"] - by["min"]).loc[max(gap)].max()
    return middle > max(few, many) and many <= seeds


def a_tenth_is_harmless_and_c_mnist_holds_out_longest(f, this):
    lost = {v: {s: mean(of[0.0]) - mean(a) for s, a in of.items()}
            for v, of in union.by_share(this).items()}  # fmt: skip
    order = [[lost[v][share] for v in VARIANTS] for share in (0.5, 0.9)]
    return (
        lost["colored"][0.1] < -0.01
        and all(abs(lost[v][0.1]) < 0.01 for v in HARD)
        and all(a < b for row in order for a, b in pairwise(row))
    )


def c_mnist_holds_out_up_to_nine_tenths(f, this):
    of = {share: mean(a) for share, a in union.by_share(this)["colored"].items()}
    return of[0.0] - of[0.9] < 0.1 < 0.4 < of[0.9] - of[1.0]


def parts_of_an_image_count_otherwise_at_mini(f, this):
    def added(rows, train_on):
        return union.effects(union.means(rows)[train_on], "background")

    there = [added(this.reference, train_on) for train_on in union.CLASSIFIERS]
    hardly = all(abs(of[part]) < 0.03 for of in there for part in ("shape", "texture"))
    here = [added(this.live, train_on) for train_on in ("cgn", "original+cgn")]
    return hardly and all(max(of, key=of.get) == "shape" and of["shape"] > 0.05 for of in here)


def no_retraining_keeps_all_and_the_edge_loss_mends(f, this):
    of = cgns(this.reference_of())
    by = of[of.variant == "colored"].groupby("recipe").usable
    others = [f[f"usable-{v}-trained"] for v in ("double-colored", "wildlife")]
    none = f["lottery-trained-kept"] == 0 and by.max()["trained"] < 8
    return none and by.min()["edge"] > 8 and min(others) >= 9 and by.max()["published"] == 10


def the_edge_loss_gives_what_it_gave_the_study(f, this):
    apart = abs(f["lottery-edge-accuracy"] - f["lottery-told-accuracy"])
    return apart < 3 and abs(f["usable-with"] - f["usable-colored-edge"]) < 1


def no_colored_cgn_of_the_recipe_passes(f, this):
    passed = {name.split()[0] for name in f["verdict-recipe"].met}
    return passed == {"double_colored", "wildlife"}


def only_the_authors_weights_reproduce_claim_3(f, this):
    by = {kind: f[f"verdict-{kind}"] for kind in ("authors", "trained")}
    return by["authors"].met == VARIANTS and by["trained"].met == ("double_colored",)


def real_images_cost_most_on_w_mnist(f, this):
    table = claim3_mnist.union_less_alone(this).set_index("Data").astype(float)
    of = table[["Study", "Authors' weights", "Trained here (full)"]]
    return set(of.idxmin()) == {"W-MNIST"} and of.min().max() < -10


def the_farthest_without_a_cgn_is_a_gan(f, this):
    near = claim3_mnist.off(claim3_mnist.told(this), accuracies(this.reference))
    others = {train_on: by for train_on, by in near.items() if not train_on.endswith("cgn")}
    return max(others, key=others.get) == "gan" and f["off-other"] == near["gan"]


def three_groups_earn_their_place(f, this):
    read = {a: f[f"read-{a}"] for a in ("none", "shape", "texture", "background", "reconstruction")}
    worse = max(read[a] for a in ("texture", "background", "reconstruction"))
    return worse < read["none"] < read["shape"]


def two_trends_are_undecided_in_both(f, this):
    kinds = [f[f"verdict-{kind}"] for kind in ("reference", "live")]
    return f["undecided"] == "two of the 6" and all(len(of.undecided) == 2 for of in kinds)


def steps_do_most(f, this):
    of = {s: set_size.repeated(rows) for s, rows in set_size.sources(this).items() if s != "Study"}
    there = of["Authors' weights"]
    return min(there[v].share for v in HARD) > 0.75 and of[this.label]["colored"].share > 0.5


def readers_tell_in_advance(f, this):
    apart = [value for name, value in f.items() if name.startswith("draw-apart")]
    return f["draw-rank"] > 0.8 and apart and min(apart) > 3 * f["draw-within"]


def separation_and_accuracy_rise_together(f, this):
    there = disentanglement.points(this.reference_of(*disentanglement.ON_DIGITS))
    rhos, chance = disentanglement.association(there)
    return len(rhos) == 3 and min(rhos.values()) > 0 and chance < 0.01


def ten_thousand_are_nearly_enough(f, this):
    of = set_size.repeated(set_size.sources(this)["Authors' weights"])
    enough = all(of[v].size == 10_000 and of[v].share > 0.75 for v in HARD)
    return enough and f["behind-reference-colored"] == set_size.NO_RISE


def shape_heads_follow_separation(f, this):
    found = disentanglement.made_worse(this.reference_of(*disentanglement.ON_ABLATED))
    by = dict(iter(found.groupby("removed")))
    shape = {name: of["shape/cue_shape"] for name, of in by.items()}
    better = [shape[name] for name in ("shape", "none", "texture", "background")]
    return (
        f["rho-shape"] > 0.8
        and all(a.min() > b.max() for a, b in pairwise(better))
        and by["background"].share.max() < by["reconstruction"].share.min()
        and shape["background"].mean() > shape["reconstruction"].mean()
        and by["shape"]["avg/cue_shape"].mean() <= by["none"]["avg/cue_shape"].mean()
    )


def the_gap_stays_wide_without_reconstruction_alone(f, this):
    found = disentanglement.made_worse(this.reference_of(*disentanglement.ON_ABLATED))
    gap = found.groupby("removed")["shape_texture/bg_gap"].mean()
    of = ablations.measured(tracked.page_of("07_claim2").reference)["reconstruction"]
    unread = max(of["background_read"]) < 0.8
    return gap.pop("reconstruction") > 0.2 and gap.max() < 0.06 and unread


def longer_training_leaks_no_less(f, this):
    pairs = [(f[f"reference-leak-{cue}-cgn"], f[f"leak-{cue}-cgn"])
             for cue in ("texture", "background")]  # fmt: skip
    return all(full >= mini for full, mini in pairs)


def the_ratio_counts_on_c_mnist_with_the_authors_alone(f, this):
    found = {s: {v: set_size.judge(e) for v, e in set_size.effects(of).items()}
             for s, of in set_size.sources(this).items()}  # fmt: skip
    both = [(s, v) for s, of in found.items() for v, said in of.items() if said == set_size.BOTH]
    rest = {said for of in found.values() for said in of.values()} - {set_size.BOTH}
    return both == [("Authors' weights", "colored")] and rest == {set_size.ALONE}


def retrainings_spread_as_independent_digits_would(f, this):
    kept = [k for k, n in lottery.study(this, "trained").items() for _ in range(n)]
    share = f["usable-without"] / 10
    return abs(np.std(kept) - (10 * share * (1 - share)) ** 0.5) < 0.2


def all_are_near_an_empty_map(f, this):
    found = explanations.against_study(this)
    by = found.groupby(["variant", "train_on", "whose"]).value.mean().unstack()
    moved = (by[explanations.SWAPPED] - by[this.label]).abs().max()
    return (found.value - f["empty"] / 100).abs().max() < 0.07 and moved < 0.02


def the_digit_comes_in_and_the_cues_stay_above_chance(f, this):
    def change(of, variant, cue):
        return [mean(of_cell(of, variant, t, f"{cue}_read")) for t in ("original", "cgn")]

    frames = [of_published(this.reference), this.live]
    cues = [(v, cue) for v in VARIANTS for cue in ("foreground", "background")]
    fade = [change(of, v, c) for of in frames for v, c in cues if (v, c) != ("colored", cues[1][1])]
    digits = [change(of, v, "digit") for of in frames for v in VARIANTS]
    return all(a < b for a, b in digits) and all(a > b > 0.2 for a, b in fade)


def one_cgn_differs_most_on_w_mnist(f, this):
    apart = {name: value for name, value in f.items() if name.startswith("draw-apart")}
    return max(apart, key=apart.get) == "draw-apart-wildlife"


def the_discriminator_is_ahead_where_digits_are_lost(f, this):
    def ahead(training):
        return training["losses"]["adversarial"][-1] / training["losses"]["discriminator"][-1]

    lost, *others = sorted(film.trainings(), key=lambda training: training["usable"])
    return ahead(lost) > 3 > 2 > max(map(ahead, others))


def masks_are_inverted_in_the_first_steps(f, this):
    of, others = film.fate("plain"), film.fate("edge", "border")
    return of["early"] == of["inverted"] > 10 and others["early"] == 0 < others["inverted"]


def neither_loss_ends_the_lottery(f, this):
    found = retrained.facts(retrained.opened())
    plain, edge, border = (found[f"retrained-{remedy}"] for remedy in retrained.WORDS)
    ends = found["retrained-ends"] != retrained.said([])
    return abs(edge - border) < 1 and min(edge, border) > plain + 3 and not ends


def only_counterfactuals_part_the_heads(f, this):
    without, given = (heads.measured(this.live)[on] for on in (CONTROL, INVARIANT))
    most = [
        {head for head in HEADS if mean(of[head]["counterfactual_top1"]) > 0.5}
        for of in (without, given)
    ]
    return most == [{"bg"}, set(HEADS)]


def the_talk_has_other_numbers_than_article_and_cache(f, this):
    for table in ("shape-bias", "backgrounds"):
        said = heads.contradictions(table)
        said = said[said["Trained on"].str.startswith("IN-mini")]
        if not (said.Article == said.Cached).all() or (said.Article == said.Talk).any():
            return False
    return True


def the_talk_prints_another_gap_than_its_accuracies_give(f, this):
    table = claim3_backgrounds.borrowed().set_index("Source")["BG-gap"]
    return table["talk"] != table["talk, subtracted"]


def no_cgn_is_as_separated_as_its_renderer(f, this):
    share = disentanglement.cgns(disentanglement.scores(this.live))
    return share.share.max() < 1 and share.variant[share.share.idxmin()] == "colored"


# What the record has to bear out, and the sentences that say so.
SENTENCES = {
    masks_are_inverted_in_the_first_steps: [
        ("05_claim1_mnist", "By the published recipe in the first steps."),
        ("05_claim1_mnist", "the first step decides nothing"),
        ("05_claim1_mnist", "They tip later"),
    ],
    neither_loss_ends_the_lottery: [
        ("05_claim1_mnist", "a border loss keeps as many digits of"),
        ("05_claim1_mnist", "neither ends the lottery"),
    ],
    the_discriminator_is_ahead_where_digits_are_lost: [
        ("05_claim1_mnist", "the generator's loss stays far above the discriminator's"),
    ],
    the_ratio_counts_on_c_mnist_with_the_authors_alone: [
        ("13_set_size", "The size counts everywhere, the ratio only on C-MNIST with the"),
    ],
    steps_do_most: [
        ("13_set_size", "Accuracy follows the images seen in training, whether they are new"),
        ("13_set_size", "More passes over a small set do most of what a larger set does"),
    ],
    retrainings_spread_as_independent_digits_would: [
        ("05_claim1_mnist", "is about that of ten independent digits"),
    ],
    all_are_near_an_empty_map: [
        ("11_explanations", "Hardly any classifier is far from a map that is empty everywhere"),
    ],
    the_digit_comes_in_and_the_cues_stay_above_chance: [
        ("11_explanations", "the digit comes in, the cues fade and do not vanish"),
    ],
    one_cgn_differs_most_on_w_mnist: [
        ("08_claim3_mnist", "one CGN differs from the next by up to"),
    ],
    readers_tell_in_advance: [
        ("08_claim3_mnist", "A reader of the counterfactuals tells in"),
        ("08_claim3_mnist", "A reader predicts it"),
        ("16_discussion", "depends far more on which CGN was trained"),
    ],
    the_control_minds_the_background_as_much: [
        ("10_claim3_backgrounds", "three heads without counterfactuals lose as much as one"),
        ("10_claim3_backgrounds", "At `mini` the control, three heads and no counterfactuals"),
    ],
    the_mean_of_heads_has_no_more_bias_but_follows_both_more: [
        ("09_claim3_shape_bias", "gains shape bias only after the longer training"),
        ("09_claim3_shape_bias", "at `mini` this mean has no more shape bias than the plain"),
    ],
    the_reference_mean_has_more_bias_than_plain: [
        ("09_claim3_shape_bias", "gains shape bias only after the longer training"),
        ("09_claim3_shape_bias", "Only after the longer training of the reference run does"),
    ],
    shape_heads_follow_separation: [
        ("12_disentanglement", "The better a CGN keeps its mechanisms apart, the more of the"),
    ],
    the_gap_stays_wide_without_reconstruction_alone: [
        ("12_disentanglement", "four of the five kinds bring it down to a few points"),
        ("16_discussion", "stays wide only without the reconstruction losses"),
    ],
    ten_thousand_are_nearly_enough: [
        ("13_set_size", "ten thousand counterfactuals were nearly enough"),
    ],
    separation_and_accuracy_rise_together: [
        ("12_disentanglement", "Taken together the answer on the digits is yes"),
        ("16_discussion", "disentanglement and the accuracy of the classifiers that learn from it"),
    ],
    a_tenth_is_harmless_and_c_mnist_holds_out_longest: [
        ("14_union", "A tenth of originals does no harm"),
    ],
    c_mnist_holds_out_up_to_nine_tenths: [
        ("14_union", "C-MNIST hardly, up to nine tenths"),
    ],
    parts_of_an_image_count_otherwise_at_mini: [
        ("14_union", "With the authors' weights shape and texture hardly matter"),
        ("14_union", "At `mini` a real shape adds most"),
    ],
    no_retraining_keeps_all_and_the_edge_loss_mends: [
        ("05_claim1_mnist", "No retraining of the published recipe on C-MNIST kept all ten digits"),
    ],
    the_edge_loss_gives_what_it_gave_the_study: [
        ("05_claim1_mnist", "At the paper's size this remedy of the study is reproduced"),
    ],
    no_colored_cgn_of_the_recipe_passes: [
        ("05_claim1_mnist", "No CGN of C-MNIST that was trained here as published passes"),
    ],
    only_the_authors_weights_reproduce_claim_3: [
        ("08_claim3_mnist", "the recipe does so on DC-MNIST alone"),
    ],
    real_images_cost_most_on_w_mnist: [
        ("08_claim3_mnist", "At the paper's size real images beside counterfactuals cost most"),
    ],
    the_farthest_without_a_cgn_is_a_gan: [
        ("08_claim3_mnist", "without a CGN the farthest row is a GAN's"),
    ],
    three_groups_earn_their_place: [
        ("07_claim2", "Three of the four groups earn their place"),
    ],
    two_trends_are_undecided_in_both: [
        ("07_claim2", "Two trends cannot be decided on the menagerie"),
    ],
    the_score_falls_without_reconstruction_alone: [
        ("07_claim2", "at `mini` the inception score falls without"),
    ],
    the_reference_union_is_worse_on_all_three: [
        ("08_claim3_mnist", "With the authors' CGNs the union is worse on all three variants"),
    ],
    the_middle_size_tells_the_ratios_apart: [
        ("13_set_size", "At `mini` most of it is at the middle size"),
    ],
    backgrounds_decide_without_counterfactuals: [
        ("09_claim3_shape_bias", "At `mini` the plain classifier goes by what fills most"),
    ],
    background_easiest_and_shape_hardest: [
        ("09_claim3_shape_bias", "At `mini` the background is the easiest cue and the shape"),
    ],
    the_background_head_follows_the_background: [
        ("09_claim3_shape_bias", "At `mini` it follows the background in more than nine of ten"),
    ],
    longer_training_rounds_the_shapes: [
        ("06_claim1_imagenet", "But the masks are blunter still"),
    ],
    the_key_is_read_least: [
        ("06_claim1_imagenet", "At `mini` the key suffers most"),
    ],
    the_loss_on_the_mask_does_harm: [
        ("07_claim2", "There the loss does harm"),
        ("16_discussion", "unless the losses on the mask are left out"),
    ],
    longer_training_leaks_no_less: [
        ("16_discussion", "Longer training does not mend it"),
    ],
    a_quarter_is_left_before_random_backgrounds: [
        ("10_claim3_backgrounds", "At `mini` hardly anything separates the classifiers"),
    ],
    the_effect_on_backgrounds_is_larger_than_the_papers: [
        ("10_claim3_backgrounds", "At `mini` the effect is far larger than in the paper"),
    ],
    ensembles_are_level_on_real_images: [
        ("15_out_of_distribution", "At `mini` plain classifier and ensemble are equally accurate"),
    ],
    no_rise_comes_from_the_digit: [
        ("11_explanations", "At `mini` no rise of it comes from the digit"),
    ],
    features_tell_the_cue_and_not_the_digit: [
        ("11_explanations", "At `mini` the features of DC- and W-MNIST tell the background"),
    ],
    only_counterfactuals_part_the_heads: [
        ("09_claim3_shape_bias", "With counterfactuals each head mostly names its own cue"),
    ],
    the_talk_has_other_numbers_than_article_and_cache: [
        ("09_claim3_shape_bias", "the article gives the cached numbers, and the talk gives none"),
        ("10_claim3_backgrounds", "Here too the article has the cached numbers"),
    ],
    the_talk_prints_another_gap_than_its_accuracies_give: [
        ("10_claim3_backgrounds", "The gap that the talk prints is not the difference"),
    ],
    no_cgn_is_as_separated_as_its_renderer: [
        ("12_disentanglement", "No CGN keeps its mechanisms as far apart as its renderer does"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("holds", "chapter", "words"),
    [(holds, *said) for holds, sentences in SENTENCES.items() for said in sentences],
    ids=lambda part: getattr(part, "__name__", part)[:50],
)
def test_the_record_bears_the_sentence_out(holds, chapter, words):
    text = (paths.ROOT / f"book/{chapter}.md").read_text()
    text = re.sub(r"\s+", " ", text).replace("''", "'")  # of captions in quotes
    assert words in text, "the sentence has changed: change its test with it"
    found = holds(tracked.facts_of(chapter), tracked.page_of(chapter))
    assert found, "the record no longer bears this out: change the sentence"
