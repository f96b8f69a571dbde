"""What is declared: the kinds of run, the recipes, the profiles, and the grid of every claim."""

from cgnlib.experiments.claims import CLAIMS, ENSEMBLE_SETS, TRAIN_SETS, AnyRun, find, grid
from cgnlib.experiments.declared import Profile
from cgnlib.experiments.digits import (
    CGN, GAN, Classifier, Crossing, Disentanglement, Evaluation, Explanation, Following, ImageSet,
    OnDigits, PublishedCGN, Reader,
)  # fmt: skip
from cgnlib.experiments.profiles import PROFILES, profile
from cgnlib.experiments.recipes import ABLATIONS
from cgnlib.experiments.run import VARIANTS, Input, Run, with_needs
from cgnlib.experiments.worlds import (
    Ensemble, HeadMaps, Images, Mechanisms, MenagerieDisentanglement, OnWorld, PackagedRobustness,
    Plain, PretrainedPlain, PublishedEnsemble, PublishedMechanisms, Quality, Robustness,
)  # fmt: skip
