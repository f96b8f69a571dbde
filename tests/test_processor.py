"""Which processor computes: a GPU counts where the torch that is installed can use it."""

import warnings

import pytest
import torch

from cgnlib import processor

CUDA_13 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 12080). "
    "Please update your GPU driver (Triggered internally at CUDAFunctions.cpp:119.)"
)


@pytest.fixture(autouse=True)
def asked_anew():
    processor.driver.cache_clear()
    processor.why_not.cache_clear()
    yield
    processor.driver.cache_clear()
    processor.why_not.cache_clear()


@pytest.fixture
def see(monkeypatch):
    """Puts cards, by their capabilities, and what torch was built for."""

    def cards(*capabilities, built_for=CUDA_13):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(capabilities))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built_for)

        def capability(card):
            warnings.warn("an old card", stacklevel=1)  # as torch does
            return capabilities[card]

        monkeypatch.setattr(torch.cuda, "get_device_capability", capability)

    return cards


@pytest.mark.parametrize(
    ("card", "built_for", "usable"),
    [
        ((6, 1), CUDA_13, False),  # GTX 1080 Ti
        ((7, 0), CUDA_13, False),  # V100
        ((7, 5), CUDA_13, True),
        ((8, 6), CUDA_13, True),
        ((8, 9), CUDA_13, True),  # its own kernels are those of 8.6
        ((9, 0), CUDA_13, True),
        ((10, 3), CUDA_13, True),
        ((11, 0), CUDA_13, False),  # newer than all, and nothing to compile for it
        ((11, 0), [*CUDA_13, "compute_120"], False),
        ((13, 0), [*CUDA_13, "compute_120"], True),
        ((6, 1), ["sm_50", "sm_60", "sm_70"], True),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((10, 3), ["sm_100f"], True),
        ((12, 1), ["compute_120f"], True),
        ((13, 0), ["compute_120f"], False),
        ((8, 0), [], False),
        ((8, 0), ["gfx90a"], False),
    ],
)
def test_a_card_is_judged_by_the_kernels_that_torch_has(card, built_for, usable, see):
    see(card, built_for=built_for)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of it on a page
        assert processor.on_gpu() == usable == (processor.gpus() == 1)
        assert processor.torch_device(gpu=True).type == ("cuda" if usable else "cpu")
        assert (processor.device() == "a card") == usable
    assert processor.torch_device(gpu=False).type == "cpu"
    wanted = "" if usable else f"no kernels for sm_{card[0]}{card[1]}, but for"
    assert wanted in processor.why_not(0) and bool(processor.why_not(0)) != usable


def test_a_torch_of_amd_speaks_of_other_capabilities(see, monkeypatch):
    see((9, 0), built_for=["gfx90a"])
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert processor.on_gpu()


def test_those_behind_an_unusable_card_are_not_counted(see):
    see((8, 0), (8, 0), (6, 1), (8, 0))
    assert processor.gpus() == 2 and processor.on_gpu()
    assert [bool(processor.why_not(card)) for card in processor.cards()] == [0, 0, 1, 0]


def test_an_old_driver_is_told_once_and_never_on_a_page(monkeypatch):
    said = []

    def is_available():
        if not said:
            said.append(OLD_DRIVER)
            warnings.warn(OLD_DRIVER, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)  # which NVML counts all the same
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert processor.gpus() == 0 and not processor.cards()
        assert processor.torch_device(gpu=True).type == "cpu"
    for _ in range(2):
        assert processor.driver() == (
            "The NVIDIA driver on your system is too old (found version 12080)"
        )


def test_without_a_gpu_nothing_is_wrong(see):
    see()
    assert processor.driver() == "" and processor.gpus() == 0
