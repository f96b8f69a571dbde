"""The fixed seeds: pictures that judge are of seeds of their own."""

import pickle

import torch

from cgnlib import chance
from cgnlib.data.menagerie import Menagerie

FIXED = {name: seed for name, seed in vars(chance).items() if isinstance(seed, chance.Fixed)}
RENDERED = [seed for seed in FIXED.values() if seed <= chance.SILHOUETTES]


def test_seeds_and_places_give_generators_of_their_own():
    seeds = {chance.generator(s, role).initial_seed() for s in range(50) for role in range(50)}
    assert len(seeds) == 2500


def test_a_fixed_seed_draws_what_its_number_does_wherever_it_goes():
    seed = pickle.loads(pickle.dumps(chance.TEST))
    assert seed == 21 and (seed.draws, seed.unseen_by) == (chance.TEST.draws, chance.TEST.unseen_by)
    assert chance.generator(seed, "a").initial_seed() == chance.generator(21, "a").initial_seed()
    index = torch.arange(2)
    ours, plain = (Menagerie("agree", 2, s).batch(index)[0] for s in (seed, 21))
    assert torch.equal(ours, plain)


def test_no_two_seeds_of_the_renderer_are_alike():
    """Equal seeds are equal images there, and would be seen by what they are to judge."""
    assert len(RENDERED) == len(set(RENDERED)) == 7


def test_every_seed_says_what_it_draws_and_whatever_judges_who_must_not_see_it():
    assert all(seed.draws for seed in FIXED.values())
    for name in ("DIGITS_TEST", "PARTS_TEST", "TEST", "VALIDATION", "TRUTH", "SILHOUETTES"):
        assert FIXED[name].unseen_by, name
