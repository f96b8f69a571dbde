"""The nets that runs leave."""

from pathlib import Path

import torch
from torch import nn

from cgnlib import experiments as e
from cgnlib import worlds
from cgnlib.chance import generator
from cgnlib.compute import Found, Job
from cgnlib.nets import ensemble, mnist, weights
from cgnlib.nets.readers import CueReader

WEIGHTS = "weights.safetensors"  # the file's name in a run's folder


def net_of(run: e.Run, folder: Path) -> nn.Module:
    """The net that a finished run left, whole or not at all, in evaluation mode.

    Raises CGNError, with the command that mends it, for weights that are damaged or another net's.
    """
    path = folder / WEIGHTS
    mend = f"delete {folder}, then {run.command}"
    net: nn.Module
    match run:
        case e.Mechanisms() | e.PublishedMechanisms():
            return worlds.find(run.variant).load(path, mend)
        case e.CGN():
            net = mnist.CGN(run.recipe.latent, run.recipe.ngf)
        case e.PublishedCGN():
            net = mnist.CGN(run.latent, run.ngf)
        case e.GAN():
            net = mnist.GAN(run.recipe.latent, run.recipe.ngf)
        case e.Classifier():
            net = mnist.CNN()
        case e.Reader():
            net = CueReader()
        case e.Plain() | e.PretrainedPlain():
            net = ensemble.Plain(worlds.find(run.variant).backbone())
        case e.Ensemble() | e.PublishedEnsemble():
            net = ensemble.Ensemble(worlds.find(run.variant).backbone(), generator(0))
        case _:
            raise TypeError(f"a {type(run).__name__} leaves no net")
    return weights.load(net, path, mend).to(memory_format=torch.channels_last).eval()


def keep(job: Job, net: nn.Module, history: list[dict] | None = None) -> Found:
    """Leave a run's net.  Found are its history and the losses that a training ended with."""
    weights.save(net, job.folder / WEIGHTS)
    last = history[-1] if history else {}
    return Found({f"loss_{name}": v for name, v in last.items() if name != "step"}, history)
