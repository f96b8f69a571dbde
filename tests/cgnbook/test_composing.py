"""The composer: bytes, whole numbers, and answers about the very image that a page shows."""

import pytest
import torch

from cgnbook import composing
from cgnbook.composing import Answers, Parts
from cgnlib.data.images import to_bytes, to_signed
from cgnlib.errors import CGNError
from cgnlib.nets import mnist as nets


def parts(samples=1, classes=10, size=4, seed=0):
    rng = torch.Generator().manual_seed(seed)

    def draw(channels):
        shape = (classes * samples, channels, size, size)
        return torch.randint(256, shape, generator=rng, dtype=torch.uint8)

    return Parts(draw(1), draw(3), draw(3), samples)


class Flat:
    """A source whose parts have one value each, which tells mechanism, class and sample."""

    def part(self, mechanism, y, take, index):
        sample = index[0] // len(y)
        value = (mechanism * 100 + y * 10 + sample).float() / 255
        value = value if mechanism == 0 else value * 2 - 1
        return value.view(-1, 1, 1, 1).expand(-1, 1 if mechanism == 0 else 3, 4, 4)


def test_composing_rounds_as_real_numbers_do():
    m, f, b = (torch.arange(256, dtype=torch.uint8),) * 3
    grid = torch.meshgrid(m, f[::5], b[::5], indexing="ij")
    exact = [x.double() for x in grid]
    wanted = (exact[0] * exact[1] + (255 - exact[0]) * exact[2]) / 255
    assert torch.equal(composing.compose(*grid), wanted.round().to(torch.uint8))


def test_composing_is_that_of_the_network_to_a_step():
    p = parts(size=32)
    mask, fg, bg = p.mask.float() / 255, to_signed(p.fg), to_signed(p.bg)
    wanted = to_bytes(nets.compose(mask, fg, bg)).int()
    assert (composing.compose(p.mask, p.fg, p.bg).int() - wanted).abs().max() <= 1


def test_samples_of_a_class_lie_side_by_side():
    p = composing.sample(Flat(), samples=2, classes=3)
    assert p.mask.shape == (6, 1, 4, 4) and p.fg.shape == p.bg.shape == (6, 3, 4, 4)
    assert p.mask[:, 0, 0, 0].tolist() == [0, 1, 10, 11, 20, 21]
    assert p.fg[:, 0, 0, 0].tolist() == [100, 101, 110, 111, 120, 121]
    assert p.bg[:, 2, 3, 3].tolist() == [200, 201, 210, 211, 220, 221]
    assert p.y.tolist() == [0, 0, 1, 1, 2, 2]


def test_every_combination_is_asked_about_in_its_place():
    p = parts(samples=2, classes=3)

    def classify(x):
        scores = x.flatten(1)[:, :10]
        return {"one": scores.softmax(1), "other": (-scores).softmax(1)}

    found = composing.ask(classify, p)
    assert set(found) == {"one", "other"}
    for s, t, b in [(0, 0, 0), (1, 4, 2), (5, 0, 3)]:
        image = composing.compose(p.mask[s], p.fg[t], p.bg[b])
        for subject, probabilities in classify(to_signed(image)[None]).items():
            assert found[subject].label[s, t, b] == probabilities.argmax()
            assert found[subject].percent[s, t, b] == (100 * probabilities.max()).round()


def test_asking_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        composing.ask(lambda x: 1 / 0, parts())
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("cue", composing.CUES)
def test_who_follows_one_cue_follows_no_other(cue):
    p = parts(samples=2)
    of = torch.meshgrid(p.y, p.y, p.y, indexing="ij")[composing.CUES.index(cue)]
    answers = Answers(of.byte(), torch.full_like(of, 100))
    assert composing.followed(answers, p) == {c: float(c == cue) for c in composing.CUES}
    assert composing.agreed(answers, p) == 1


def test_one_answer_for_all_follows_each_cue_a_tenth_of_the_time():
    p = parts()
    answers = Answers(torch.zeros(10, 10, 10, dtype=torch.uint8), torch.zeros(10, 10, 10))
    assert composing.followed(answers, p) == pytest.approx(dict.fromkeys(composing.CUES, 0.1))
    assert composing.agreed(answers, p) == pytest.approx(0.1)


def test_two_classes_cannot_tell():
    with pytest.raises(ValueError, match="undefined"):
        composing.followed(Answers(torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)), parts(classes=2))


def test_classifiers_that_are_not_there_are_named():
    with pytest.raises(CGNError, match="trained on 'original'"):
        composing.digits("wildlife", [], samples=1)
    with pytest.raises(CGNError, match="trained on 'plain'"):
        composing.menagerie([], samples=1)
