"""Verdicts: each outcome, its border, and that better numbers never make it worse."""

import random

import pytest

from cgnbook.verdict import (
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    TRENDS,
    backgrounds,
    losses_needed,
    mechanisms_apart,
    shape_heads,
)

RANK = {NOT: 0, PARTLY: 1, REPRODUCED: 2}


CEILING = {"shape": 1.0, "texture": 0.5, "background": 0.9}


@pytest.mark.parametrize(
    ("read", "outcome", "met"),
    [
        ((0.8, 0.4, 0.72), REPRODUCED, ("shape", "texture", "background")),  # four fifths each
        ((0.79, 0.4, 0.72), PARTLY, ("texture", "background")),
        ((0.1, 0.39, 0.9), PARTLY, ("background",)),
        ((0.79, 0.39, 0.71), NOT, ()),
        ((0, 0, 0), NOT, ()),
    ],
)
def test_outcomes_of_mechanisms_apart(read, outcome, met):
    verdict = mechanisms_apart(dict(zip(CEILING, read, strict=True)), CEILING)
    assert (verdict.outcome, verdict.met) == (outcome, met) and str(verdict) == outcome


def test_mechanisms_that_nobody_read_were_not_run():
    verdict = mechanisms_apart({}, CEILING)
    assert (verdict.outcome, verdict.effects, verdict.met) == (NOT_RUN, {}, ())


def test_effects_of_mechanisms_apart_are_shares_of_the_ceiling():
    verdict = mechanisms_apart({"shape": 0.5, "texture": 0.5, "background": 0.45}, CEILING)
    assert verdict.effects == pytest.approx({"shape": 0.5, "texture": 1, "background": 0.5})


@pytest.mark.parametrize("ceiling", [0.1, 0.3, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("share", [0.6, 0.8, 0.9])
def test_just_the_share_of_the_ceiling_counts(ceiling, share):
    def outcome(read):
        return mechanisms_apart({"shape": read}, {"shape": ceiling}, share).outcome

    assert outcome(share * ceiling) == REPRODUCED
    assert outcome(share * ceiling - 1e-4) == NOT


def test_better_reading_never_worsens_mechanisms_apart():
    draw = random.Random(2)
    seen = set()
    for _ in range(200):
        read = {cue: draw.random() ** 0.7 * top for cue, top in CEILING.items()}
        before = mechanisms_apart(read, CEILING)
        better = {cue: x + draw.random() * (CEILING[cue] - x) for cue, x in read.items()}
        after = mechanisms_apart(better, CEILING)
        assert RANK[after.outcome] >= RANK[before.outcome] and set(before.met) <= set(after.met)
        seen.add(before.outcome)
    assert seen == set(RANK)


# --- claim 2

BASE = {"inception_score": [90.0, 110.0], "mask_coverage": [0.3, 0.5]}  # means 100 and 0.4


def ablated(**changes):
    """All losses, and each ablation with a relative change of (score, coverage)."""
    by = {"none": BASE}
    for name in ("shape", "texture", "background", "reconstruction"):
        score, coverage = changes.get(name, (0, 0))
        by[name] = {
            "inception_score": [100 * (1 + score)],
            "mask_coverage": [0.4 * (1 + coverage)],
        }
    return by


AS_TOLD = {
    "shape": (-0.5, 0),
    "reconstruction": (-0.5, 0),
    "texture": (0.5, 0.5),
    "background": (0.5, -0.5),
}


def test_the_papers_trends_reproduce_the_need_of_losses():
    verdict = losses_needed(ablated(**AS_TOLD))
    assert verdict.outcome == REPRODUCED and verdict.met == tuple(TRENDS) and len(TRENDS) == 6
    assert [round(effect, 6) for effect in verdict.effects.values()] == [
        -0.5, -0.5, 0.5, 0.5, 0.5, -0.5,
    ]  # fmt: skip


def test_no_change_and_the_opposite_change_refute_the_need_of_losses():
    opposite = {name: (-score, -coverage) for name, (score, coverage) in AS_TOLD.items()}
    for by in (ablated(), ablated(**opposite)):
        verdict = losses_needed(by)
        assert (verdict.outcome, verdict.met) == (NOT, ())
        assert verdict.effects.keys() == TRENDS.keys()


@pytest.mark.parametrize("trend", TRENDS)
def test_each_trend_counts_alone_in_its_direction(trend):
    ablation, metric, sign = TRENDS[trend]
    change = {"inception_score": (sign * 0.2, 0), "mask_coverage": (0, sign * 0.2)}[metric]
    verdict = losses_needed(ablated(**{ablation: change}))
    assert (verdict.outcome, verdict.met) == (PARTLY, (trend,))
    assert verdict.effects[trend] == pytest.approx(sign * 0.2)
    assert all(effect == pytest.approx(0) for t, effect in verdict.effects.items() if t != trend)
    against = losses_needed(ablated(**{ablation: tuple(-c for c in change)}))
    assert (against.outcome, against.met) == (NOT, ())


@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_a_change_of_just_the_share_counts(trend, share):
    ablation, metric, sign = TRENDS[trend]

    def met(change):
        pair = (sign * change, 0) if metric == "inception_score" else (0, sign * change)
        return trend in losses_needed(ablated(**{ablation: pair}), share).met

    assert met(share) and not met(share - 1e-4)


def test_means_over_seeds_decide_about_losses():
    by = ablated()
    by["shape"]["inception_score"] = [20.0, 150.0]  # one seed rises, the mean falls to 85
    verdict = losses_needed(by)
    assert verdict.met == ("without L_shape the inception score falls",)
    assert verdict.effects[verdict.met[0]] == pytest.approx(-0.15)


@pytest.mark.parametrize(
    ("ablation", "metric"),
    [
        *[(ablation, "inception_score") for ablation in ("none", *AS_TOLD)],
        *[(ablation, "mask_coverage") for ablation in ("none", "texture", "background")],
    ],
)
def test_losses_without_a_number_were_not_run(ablation, metric):
    for empty in (True, False):
        by = ablated(**AS_TOLD)
        by[ablation] = by[ablation] | {metric: []} if empty else {
            name: values for name, values in by[ablation].items() if name != metric
        }  # fmt: skip
        verdict = losses_needed(by)
        assert (verdict.outcome, verdict.effects, verdict.met) == (NOT_RUN, {}, ())
    by = ablated(**AS_TOLD)
    del by[ablation]
    assert losses_needed(by).outcome == NOT_RUN


def test_other_cgns_and_masks_that_no_trend_speaks_of_do_not_matter():
    by = ablated(**AS_TOLD)
    for name in ("shape", "reconstruction"):
        del by[name]["mask_coverage"]
    by |= {"biggan": {"inception_score": [1.0]}, "published": {}}
    assert losses_needed(by) == losses_needed(ablated(**AS_TOLD))


# --- shape bias and backgrounds


def heads(**change):
    return {"plain": [0.3, 0.4], "shape": [0.6, 0.7], "texture": [0.1, 0.2]} | change


def test_shape_heads_compare_the_lowest_seed_with_the_highest():
    found = shape_heads(heads())
    assert found.outcome == REPRODUCED and len(found.met) == 2
    assert list(found.effects.values()) == pytest.approx([0.3, 0.5])
    below = shape_heads(heads(shape=[0.49, 0.9]))
    assert below.outcome == PARTLY and "texture head" in below.met[0]
    assert shape_heads(heads(shape=[0.5, 0.9])).outcome == REPRODUCED  # the very margin
    assert shape_heads(heads(shape=[0.1, 0.9])).outcome == NOT


@pytest.mark.parametrize("missing", ["plain", "shape", "texture"])
def test_a_head_without_a_bias_is_not_run(missing):
    assert shape_heads(heads(**{missing: []})).outcome == NOT_RUN


def grounds(gap, rand):
    plain = {"bg_gap": [0.2, 0.3], "mixed_rand": [0.4, 0.5]}
    return {"plain": plain, "shape_texture": {"bg_gap": gap, "mixed_rand": rand}}


@pytest.mark.parametrize(
    ("gap", "rand", "outcome"),
    [
        ([0.15], [0.5], REPRODUCED),  # a quarter narrower, and as accurate
        ([0.16], [0.5], PARTLY),
        ([0.15], [0.49], PARTLY),
        ([0.16], [0.49], NOT),
        ([0.1, 0.2], [0.4, 0.6], NOT),  # the worst seed
        ([0.1, 0.15], [0.5, 0.6], REPRODUCED),
        ([], [0.5], NOT_RUN),
    ],
)
def test_backgrounds_want_a_narrow_gap_that_did_not_close_from_above(gap, rand, outcome):
    found = backgrounds(grounds(gap, rand))
    assert found.outcome == outcome
    if outcome != NOT_RUN:
        assert len(found.effects) == 2


def test_the_effects_on_backgrounds():
    found = backgrounds(grounds([0.05], [0.7])).effects.values()
    assert list(found) == pytest.approx([-0.2, 0.25])


def test_where_there_is_no_gap_none_can_narrow():
    flat = {"bg_gap": [0.0], "mixed_rand": [0.5]}
    wider = {"bg_gap": [0.01], "mixed_rand": [0.5]}
    assert backgrounds({"plain": flat, "shape_texture": wider}).outcome == PARTLY
