"""Features as the linear layer sees them; embeddings and probes are functions of their seed."""

import pytest
import torch

from cgnlib.measures import features


def test_features_are_what_the_linear_layer_sees(cnn, x, untouched):
    with untouched(cnn.train()):
        found = features.features(cnn, x.split(4))  # a short last batch
    assert not found.requires_grad and found.shape == (6, 64) and (found >= 0).all()
    cnn.eval()
    assert torch.allclose(found, cnn.model(x), rtol=1e-4, atol=1e-6)
    assert torch.allclose(cnn.cls(found), cnn(x), rtol=1e-4, atol=1e-5)
    assert torch.allclose(features.features(cnn, x.split(1)), found, rtol=1e-4, atol=1e-6)


def test_features_leave_no_hook_behind_an_error(cnn, x, untouched):
    with untouched(cnn), pytest.raises(RuntimeError):
        features.features(cnn, [x, x[:, :2]])
    with pytest.raises(ValueError, match="no images"):
        features.features(cnn, [])


@pytest.fixture
def clusters(rng):
    """Four far clusters of 20 points in 16 dimensions, and which one each point is of."""
    labels = torch.arange(80) % 4
    centres = 10 * torch.eye(4, 16)
    return centres[labels] + torch.randn(80, 16, generator=rng), labels


def test_tsne_keeps_neighbours_and_is_a_function_of_its_seed(clusters):
    points, labels = clusters
    torch.manual_seed(1)
    found = features.tsne(points, 3)
    torch.manual_seed(2)
    assert torch.equal(features.tsne(points, 3), found)
    assert not torch.allclose(features.tsne(points, 4), found)
    assert found.shape == (80, 2) and found.dtype == torch.float32 and found.isfinite().all()
    near = torch.cdist(found, found).fill_diagonal_(float("inf")).argmin(1)
    assert (labels[near] == labels).all()


def test_the_study_s_tsne_parameters_are_written_out(clusters, monkeypatch):
    made = {}

    class Stub:
        def __init__(self, **parameters):
            made.update(parameters)

        def fit_transform(self, x):
            return x[:, :2]

    monkeypatch.setattr(features, "TSNE", Stub)
    assert torch.equal(features.tsne(clusters[0], 5), clusters[0][:, :2])
    assert made == {
        "n_components": 2,
        "init": "random",
        "learning_rate": 200,
        "perplexity": 30,
        "max_iter": 1000,
        "random_state": 5,
    }


def test_a_probe_reads_what_is_there_and_nothing_else(rng):
    labels = torch.arange(400) % 10
    noise = torch.randn(400, 24, generator=rng)
    clear = noise + 8 * torch.eye(10, 24)[labels]
    shuffled = labels[torch.randperm(400, generator=rng)]
    assert features.linear_probe(clear, labels, 0) > 0.99
    assert abs(features.linear_probe(clear, shuffled, 0) - 0.1) < 0.05
    faint = features.linear_probe(noise + torch.eye(10, 24)[labels], labels, 0)
    assert 0.15 < faint < 0.7


def test_a_probe_is_a_function_of_its_seed(rng):
    labels = torch.arange(120) % 3
    points = torch.randn(120, 6, generator=rng) + torch.eye(3, 6)[labels]
    found = features.linear_probe(points, labels, 1)
    torch.manual_seed(3)
    assert features.linear_probe(points, labels, 1) == found
    assert len({features.linear_probe(points, labels, seed) for seed in range(4)}) > 1
    scaled = points * torch.tensor([1e-4, 1e-4, 1e-4, 1, 10, 100]) + 5  # small where it tells
    assert features.linear_probe(scaled, labels, 1) == pytest.approx(found, abs=0.01)
    assert features.linear_probe(points, labels, 1, folds=4) != found
    with pytest.raises(ValueError, match="fewer than 41 images"):
        features.linear_probe(points, labels, 1, folds=41)
