"""The inception score's judge: torchvision's network, its input scaled as a protocol says."""

import pytest
import torch
import torch.nn.functional as F

from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import inception


def random_net(protocol):
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(sources, "find", lambda name: name)
        patch.setattr(inception.weights, "load", lambda net, path, mend: net)
        return inception.build(protocol)


@pytest.fixture(scope="module")
def judges():
    return {name: random_net(name) for name in inception.TRANSFORM_INPUT}


@pytest.fixture
def x(rng):
    return torch.rand(2, 3, 64, 64, generator=rng) * 2 - 1


def logits(judge, x):
    """Inception's answer to images that are in its own size and scale already."""
    seen = []
    handle = judge.net.fc.register_forward_hook(lambda *call: seen.append(call[-1]))
    probabilities = judge(x)
    handle.remove()
    return seen[0], probabilities


def entered(judge, x):
    """What reaches the first convolution."""
    seen = []
    handle = judge.net.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    judge(x)
    handle.remove()
    return seen[0]


def test_answers_are_the_softmax_of_the_networks_scores(judges, x):
    scores, found = logits(judges["standard"], x)
    assert found.shape == (2, 1000) and torch.equal(found, scores.softmax(1))
    assert torch.allclose(found.sum(1), torch.ones(2)) and (found >= 0).all()
    assert scores.std(0).max() > 0  # the two images are told apart


def test_the_standard_network_sees_the_image_itself(judges, x):
    wanted = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
    assert torch.equal(entered(judges["standard"], x), wanted)


def test_the_studys_network_scales_it_a_second_time(judges, x):
    """As if -1...1 were normalised with ImageNet's mean and deviation, undone to -1...1."""
    once = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
    mean, deviation = torch.tensor(
        [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]
    ).view(2, 3, 1, 1)  # fmt: skip
    twice = (once * deviation + mean) * 2 - 1
    found = entered(judges["study"], x)
    assert torch.allclose(found, twice, atol=1e-5)
    assert found.std() < 0.5 * once.std()  # contrast is lost


def test_protocols_differ_in_this_alone(judges, x):
    standard, study = judges["standard"], judges["study"]
    assert all(map(torch.equal, standard.state_dict().values(), study.state_dict().values()))
    assert not torch.equal(standard(x), study(x))


def test_frozen_and_always_in_evaluation_mode(judges, x):
    judge = judges["standard"].train()
    assert not any(module.training for module in judge.modules())
    assert not any(p.requires_grad for p in judge.parameters())
    assert torch.equal(judge(x), judge(x))


def test_answers_do_not_depend_on_the_batch(judges, x):
    judge = judges["standard"]
    alone = torch.cat([logits(judge, x[i : i + 1])[0] for i in range(2)])
    assert torch.allclose(logits(judge, x)[0], alone, atol=1e-5)


def test_an_unknown_protocol_is_an_error():
    with pytest.raises(CGNError, match="choose standard, study"):
        inception.build("torchvision")


def test_weights_load_whole_or_not_at_all(judges, x, tmp_path, monkeypatch):
    path = tmp_path / "inception.pth"
    monkeypatch.setattr(sources, "find", lambda name: {"inception-v3": path}[name])
    state = judges["study"].net.state_dict()
    torch.save(state, path)
    judge = inception.build("study")
    assert torch.equal(judge(x), judges["study"](x))
    torch.save({"fc.bias": state["fc.bias"]}, path)
    with pytest.raises(CGNError, match=r"inception\.pth does not hold .*lacks.*V1 weights"):
        inception.build("study")
