"""The fixed seeds: pictures that judge are of seeds of their own."""

from cgnlib import chance

SEEDS = {name: seed for name, seed in vars(chance).items() if name.isupper()}
RENDERED = [seed for seed in SEEDS.values() if seed <= chance.SILHOUETTES]


def test_seeds_and_places_give_generators_of_their_own():
    seeds = {chance.generator(s, role).initial_seed() for s in range(50) for role in range(50)}
    assert len(seeds) == 2500


def test_no_two_seeds_of_the_renderer_are_alike():
    """Equal seeds are equal images there, and would be seen by what they are to judge."""
    assert len(RENDERED) == len(set(RENDERED)) == 7 < len(SEEDS)
