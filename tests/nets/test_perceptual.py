"""Feature extractors: the same features as the packages' own nets, frozen, and no longer."""

import pytest
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from torchvision.models.vgg import cfgs, make_layers

from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.experiments.recipes import MechanismsRecipe
from cgnlib.nets import perceptual


@pytest.fixture
def vgg(monkeypatch):
    """The layers of torchvision's net, with random weights, which `perceptual` is given too."""
    net = torch.nn.Module()  # without the classifier behind them, which is nine tenths of it
    net.features = make_layers(cfgs["D"]).eval()
    monkeypatch.setattr(torchvision.models, "vgg16", lambda weights: net)
    return net.features


@pytest.fixture
def x(rng):
    return torch.rand(2, 3, 32, 32, generator=rng) * 2 - 1


def one_by_one(stages, x, chosen):
    outputs = []
    with torch.no_grad():
        for i, stage in enumerate(stages[: max(chosen) + 1]):
            x = stage(x.clone())
            if i in chosen:
                outputs.append(x.clone())
    return outputs


@pytest.mark.parametrize("chosen", [(3, 8, 15, 22), (8, 22), (2, 5)], ids=str)
def test_vgg_features_are_torchvisions(chosen, vgg, x):
    features = perceptual.vgg16(chosen, pretrained=False)
    found, wanted = features(x), one_by_one(vgg, x, chosen)
    assert len(found) == len(wanted) == len(chosen)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_papers_layers_are_the_relus_before_the_pools(vgg):
    for i in MechanismsRecipe.layers:
        assert isinstance(vgg[i], torch.nn.ReLU) and isinstance(vgg[i + 1], torch.nn.MaxPool2d)


def test_nothing_behind_the_last_chosen_layer_is_kept(vgg, x):
    assert len(perceptual.vgg16((3, 8), pretrained=False).stages) == 9
    features = perceptual.efficientnet_lite0((0, 2))
    assert len(features.stages) == 3 and len(features(x)) == 2


def test_folded_efficientnet_equals_the_packages(x):
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(torch.load(perceptual._lite0_file(), weights_only=True))
    chosen = (0, 1, 2, 6)
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()) > 40

    def stem(image):
        return net._swish(net._bn0(net._conv_stem(image)))

    features = perceptual.efficientnet_lite0(chosen)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in features.modules())
    wanted = one_by_one([stem, *net._blocks], x, chosen)
    for ours, theirs in zip(features(x), wanted, strict=True):
        assert ours.std() > 0.01
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_frozen_and_always_in_evaluation_mode(x):
    features = perceptual.build("efficientnet-lite0", (0, 2))
    before = [out.clone() for out in features(x)]
    features.train()
    assert not any(module.training for module in features.modules())
    assert not any(p.requires_grad for p in features.parameters())
    image = x.clone().requires_grad_()
    sum(out.sum() for out in features(image)).backward()
    assert image.grad.abs().sum() > 0
    assert all(map(torch.equal, features(x), before))


def test_features_do_not_depend_on_the_batch(x):
    features = perceptual.build("efficientnet-lite0", (2,))
    (together,) = features(x)
    alone = torch.cat([features(x[i : i + 1])[0] for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_an_unknown_net_is_an_error():
    with pytest.raises(CGNError, match="choose vgg16"):
        perceptual.build("vgg19", (3,))


def test_missing_vgg_weights_are_an_error(vgg, no_data):
    with pytest.raises(CGNError, match=r"vgg16-397923af\.pth is missing.*fetch\.py vgg16"):
        perceptual.build("vgg16", (3,))


def test_other_vgg_weights_are_an_error(vgg, no_data):
    path = no_data / sources.table()["vgg16"]["file"]
    path.parent.mkdir()
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(CGNError, match="sha256"):
        perceptual.build("vgg16", (3,))


def test_the_checksum_is_of_the_weights():
    assert perceptual.checksum("efficientnet-lite0") == sources.sha256(perceptual._lite0_file())
