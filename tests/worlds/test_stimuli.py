"""Answers of a net that says what it is told: responses, ranks, who is asked for what."""

import math

import pytest
import torch
from torch import nn

from cgnlib.measures import decisions
from cgnlib.worlds import stimuli
from cgnlib.worlds.stimuli import Stimuli, answers, decide, of_counterfactuals

CPU = torch.device("cpu")
CATEGORIES = ("cat", "dog", "oven", "truck")
P = torch.tensor(
    [
        [0.4, 0.3, 0.2, 0.1],
        [0.1, 0.2, 0.3, 0.4],
        [0.2, 0.4, 0.1, 0.3],
        [0.1, 0.1, 0.7, 0.1],
        [0.3, 0.1, 0.2, 0.4],
    ]
)


def images(p):
    """Images of a pixel whose channels are logits."""
    return p.log()[..., None, None]


class Told(nn.Module):
    """Images are the logits; the second subject says the contrary."""

    def forward(self, x):
        x = x.flatten(1)
        return {"yes": x, "no": -x}


def made(batch=2, **parts):
    """A test of the five rows of P, whose right answers are these."""
    parts = {"names": [f"{i}.png" for i in range(5)], "category": torch.tensor([0, 0, 3, 2, 1])} | (
        parts
    )
    return Stimuli(
        "told", categories=CATEGORIES, batches=lambda: iter(images(P).split(batch)), **parts
    )


def test_responses_and_ranks_are_those_of_the_best_category():
    found = answers(Told(), made(), CPU)
    assert {name: part.tolist() for name, part in zip("ab", found["yes"], strict=True)} == {
        "a": [0, 3, 1, 2, 3],
        "b": [1, 4, 2, 1, 4],
    }
    response, rank = found["no"]
    assert response[0] == 3 and rank.tolist() == [4, 1, 3, 4, 1]
    assert response.dtype == rank.dtype == torch.int64


def test_ranks_equal_a_slow_count():
    test = made()
    _, rank = answers(Told(), test, CPU)["yes"]
    for row, right, found in zip(P.tolist(), test.category.tolist(), rank.tolist(), strict=True):
        assert sorted(row, reverse=True).index(row[right]) + 1 == found


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_answers_do_not_depend_on_the_batch(batch):
    whole, parts = (answers(Told(), made(n), CPU) for n in (2, batch))
    for subject in whole:
        assert all(map(torch.equal, whole[subject], parts[subject]))


def silent(p):
    """Means dog and truck alone, and those not in doubt."""
    return (
        torch.stack([0 * p[:, 0], p[:, 1], 0 * p[:, 2], p[:, 3]], 1) * (p.amax(1) > 0.35)[:, None]
    )


def test_no_category_is_no_answer():
    """It has the last place, so that it is in no five best."""
    p = P.clone()
    p[0] = 0.25
    test = made(decide=silent)
    test = Stimuli(**vars(test) | {"batches": lambda: iter([images(p)])})
    response, rank = answers(Told(), test, CPU)["yes"]
    assert response.tolist() == [-1, 3, 1, 1, 3]
    assert rank.tolist()[0] == len(CATEGORIES) and rank.tolist()[1:] == [3, 2, 3, 2]
    table = decide(Told(), [test], CPU).where(subj="yes")
    assert table["object_response"].tolist() == ["none", "truck", "dog", "dog", "truck"]
    assert decisions.top1(table) == 0


def test_probabilities_are_decided_upon_and_not_logits():
    seen = []

    def note(p):
        seen.append(p)
        return p

    answers(Told(), made(decide=note), CPU)
    assert torch.allclose(torch.cat(seen[::2]), P, atol=1e-6)
    assert all(torch.allclose(p.sum(1), torch.ones(len(p))) for p in seen)


@pytest.mark.parametrize("n", [0, 1, 4, 6])
def test_missing_images_are_an_error(n):
    p = images(torch.cat([P, P])[:n])
    test = Stimuli(**vars(made()) | {"batches": lambda: iter(p.split(2) if n else ())})
    with pytest.raises(RuntimeError, match=f"told: saw {n} of 5 images"):
        answers(Told(), test, CPU)


def test_a_net_takes_its_images_channels_last():
    seen, x = [], torch.rand(5, 4, 3, 3)

    class Net(nn.Module):
        def forward(self, x):
            seen.append(x)
            return {"plain": x.mean((2, 3))}

    answers(Net(), Stimuli(**vars(made()) | {"batches": lambda: iter([x])}), CPU)
    assert torch.equal(seen[0], x) and seen[0].is_contiguous(memory_format=torch.channels_last)


def test_a_net_is_left_without_gradients():
    net = nn.Sequential(nn.Linear(4, 4))

    class Net(nn.Module):
        def forward(self, x):
            return {"plain": net(x.flatten(1))}

    response, _ = answers(Net(), made(), CPU)["plain"]
    assert not response.requires_grad
    assert all(p.grad is None for p in net.parameters())


# --- who is asked for what


def test_a_subject_may_have_labels_of_its_own():
    other = torch.tensor([3, 2, 0, 0, 0])
    test = made(by_head={"no": other})
    plain, found = answers(Told(), made(), CPU), answers(Told(), test, CPU)
    assert torch.equal(test.right("yes"), test.category) and test.right("no") is other
    assert all(map(torch.equal, plain["yes"], found["yes"]))
    assert torch.equal(plain["no"][0], found["no"][0])  # what it says is the same
    table = decide(Told(), [test], CPU)
    assert table.where(subj="no")["category"].tolist() == ["truck", "oven", "cat", "cat", "cat"]
    assert table.where(subj="yes")["category"].tolist() == ["cat", "cat", "truck", "oven", "dog"]


class Data:
    """What a test on counterfactuals reads of a data set."""

    names = ("a", "b")
    classes = torch.tensor([[0, 1, 2], [3, 2, 1]])


def test_each_head_is_asked_for_its_own_cue():
    test = of_counterfactuals(Data(), CATEGORIES, lambda: iter(()))
    assert len(test) == 2 and test.condition == "counterfactual"
    asked = {
        name: test.right(name).tolist()
        for name in ("shape", "texture", "bg", "avg", "shape_texture", "plain")
    }
    assert asked.pop("texture") == [1, 2] and asked.pop("bg") == [2, 1]
    assert all(classes == [0, 3] for classes in asked.values())
    assert test.named(test.texture) == ["dog", "oven"]
    assert test.named(test.background) == ["oven", "dog"]


# --- the table


def test_decisions_have_a_row_for_each_image_and_subject():
    second = Stimuli(**vars(made(batch=5)) | {"condition": "again"})
    cues = made(texture=torch.tensor([1, 1, 1, 1, 0]), background=torch.tensor([2, 2, 2, 3, -1]))
    table = decide(Told(), [cues, second], CPU)
    assert len(table) == 2 * 2 * 5
    assert table["condition"].tolist() == ["told"] * 10 + ["again"] * 10
    assert table["subj"].tolist() == (["yes"] * 5 + ["no"] * 5) * 2
    assert set(table["session"].tolist()) == {1}
    assert table["trial"].tolist() == [1, 2, 3, 4, 5] * 4
    assert all(math.isnan(rt) for rt in table["rt"].tolist())
    rows = table.where(subj="yes", condition="told")
    assert rows["imagename"].tolist() == cues.names
    assert rows["object_response"].tolist() == ["cat", "truck", "dog", "oven", "truck"]
    assert rows["rank"].tolist() == [1, 4, 2, 1, 4]
    assert rows["texture"].tolist() == ["dog"] * 4 + ["cat"]
    assert rows["background"].tolist() == ["oven"] * 3 + ["truck", "none"]
    unknown = table.where(subj="yes", condition="again")
    assert set(unknown["texture"].tolist()) == set(unknown["background"].tolist()) == {""}
    assert decisions.top1(rows) == 2 / 5 and decisions.top5(rows) == 1


def test_a_net_that_has_diverged_is_no_perfect_one():
    p = torch.full((5, 4), float("nan"))
    test = Stimuli(**vars(made()) | {"batches": lambda: iter([images(p)])})
    with pytest.raises(RuntimeError, match="told: answers of yes are not finite"):
        answers(Told(), test, CPU)


def test_as_is_changes_nothing():
    assert stimuli.as_is(P) is P and made().decide(P) is P
