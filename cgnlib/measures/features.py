"""What the features of a classifier keep: their map in the plane, and linear probes."""

from collections.abc import Iterable

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from cgnlib.measures.heat import evaluation


def features(net: nn.Module, x_batches: Iterable[Tensor]) -> Tensor:
    """What the CNN's linear layer `cls` sees of each image, in evaluation mode, [N, 64], on CPU.

    x_batches: images [B, 3, 32, 32] each.  Raises ValueError without a batch.
    """
    found: list[Tensor] = []
    hook = net.cls.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].cpu()))
    try:
        with evaluation(net), torch.no_grad():
            for x in x_batches:
                net(x)
    finally:
        hook.remove()
    if not found:
        raise ValueError("there are no images")
    return torch.cat(found)


def tsne(features: Tensor, rng_seed: int) -> Tensor:
    """The study's t-SNE of [N, D] features, N > 30: [N, 2] float32.

    What scikit-learn took by default in 2022; the defaults left out have not changed.  On one
    thread: the gradient's sum over threads has no fixed order, and t-SNE magnifies a last bit.
    """
    reducer = TSNE(
        n_components=2,
        init="random",
        learning_rate=200.0,
        perplexity=30.0,
        max_iter=1000,
        random_state=rng_seed,
    )
    with threadpool_limits(1):
        return torch.from_numpy(reducer.fit_transform(features.float().cpu().numpy()))


def linear_probe(features: Tensor, labels: Tensor, seed: int, folds: int = 2) -> float:
    """Cross-validated accuracy of logistic regression on standardised features: mean over folds.

    features: [N, D]; labels: [N] int64.  Multinomial, L2 with C = 1; scales are learnt from the
    training folds.  The seed divides the images, with the classes in proportion.
    Raises ValueError where a class has fewer images than there are folds.
    """
    if labels.unique(return_counts=True)[1].min() < folds:
        raise ValueError(f"a class has fewer than {folds} images, one for each fold")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    x, y = features.double().cpu().numpy(), labels.cpu().numpy()
    with threadpool_limits(1):
        return float(cross_val_score(probe, x, y, cv=split, error_score="raise").mean())
