"""The loop of every training: the order of the data, and the rows of history."""

import pytest
import torch

from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import Loop, index_batches


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (12, 4), (3, 5)])
def test_every_item_comes_once_an_epoch(n, batch):
    per_epoch = -(-n // batch)
    steps = list(index_batches(n, batch, 0, 0, 3 * per_epoch))
    epochs = [torch.cat(steps[i * per_epoch : (i + 1) * per_epoch]) for i in range(3)]
    assert all(torch.equal(epoch.sort().values, torch.arange(n)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_the_order_is_a_function_of_seed_and_epoch():
    whole = list(index_batches(10, 4, 3, 0, 9))
    for first in range(9):
        torch.manual_seed(first)
        rest = list(index_batches(10, 4, 3, first, 9))
        assert len(rest) == 9 - first and all(map(torch.equal, whole[first:], rest))
    assert not torch.equal(whole[0], next(index_batches(10, 4, 4, 0, 1)))


def test_history_averages_over_the_images_seen():
    def step(index):
        return {"mean": index.float().mean()}  # a short batch must not count as a whole one

    history = Loop(step, n=10, steps=7, batch=4, seed=0, parts={}, window=3).run(Checkpoint())
    assert [row["step"] for row in history] == [3, 6, 7]
    assert [row["mean"] for row in history[:2]] == pytest.approx([4.5, 4.5])
