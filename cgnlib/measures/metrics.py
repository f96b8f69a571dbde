"""Measures: pure functions of tensors."""

import torch
from torch import Tensor


def mask_coverage(mask: Tensor) -> Tensor:
    """Mean share of the image that the shape mechanism claims (mu_mask).

    mask: [B, 1, H, W] in 0...1.  Returns a fraction for each image, [B].
    Raises ValueError outside that range.  Source: CGN paper, loss ablation table.
    """
    if mask.amin() < 0 or mask.amax() > 1:
        raise ValueError("a mask has values outside 0...1")
    return mask.flatten(1).mean(1)


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every mask in `a` with every mask in `b`.

    a: [N, ...] bool, b: [M, ...] bool.  Returns [N, M]; two empty masks have IoU 1.
    """
    a, b = a.flatten(1).float(), b.flatten(1).float()
    both = a @ b.T
    either = a.sum(1, keepdim=True) + b.sum(1) - both
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each mask in `a` with its partner in `b`, [N].

    a, b: [N, ...] bool; two empty masks have IoU 1.
    """
    a, b = a.flatten(1), b.flatten(1)
    either = (a | b).sum(1)
    return torch.where(either > 0, (a & b).sum(1) / either.clamp_min(1), 1.0)


def nearest_iou(masks: Tensor, labels: Tensor, true: Tensor, true_labels: Tensor) -> Tensor:
    """IoU of each mask with the most similar true mask of the same class, [N].

    A generated mask has no ground truth of its own; this says how close to a real digit it is.
    Raises ValueError when a class has no true mask.
    """
    best = torch.empty(len(masks))
    for label in labels.unique():
        pool = true[true_labels == label]
        if not len(pool):
            raise ValueError(f"there is no true mask of class {int(label)}")
        ours = labels == label
        best[ours] = pairwise_iou(masks[ours], pool).amax(1)
    return best


def mean_and_spread(values: Tensor) -> tuple[float, float]:
    """Mean and population standard deviation of [N] values, in float64.

    Of mask coverages: mu_mask and its spread over images.  Raises ValueError without a value.
    """
    if values.ndim != 1 or not len(values):
        raise ValueError(f"needs a list of values, not the shape {tuple(values.shape)}")
    values = values.double()
    return values.mean().item(), values.std(correction=0).item()


def inception_score(probabilities: Tensor, splits: int) -> tuple[float, float]:
    """Inception score: mean and population standard deviation over splits.

    probabilities: [N, K], a classifier's answer to each image.  A split is N / splits images that
    follow one another; its score is exp of the mean KL divergence between an image's answer and
    the split's mean answer, 1...K.  Few images a class bias it low: compare equal sizes only.
    Raises ValueError where rows are no distributions or the splits would differ in size.
    Source: Salimans et al. 2016; CGN paper, loss ablation table (the study: 2 splits of 1000).
    """
    if probabilities.ndim != 2 or not probabilities.numel():
        raise ValueError(f"needs [N, K] probabilities, not the shape {tuple(probabilities.shape)}")
    p = probabilities.double()
    if not (p >= 0).all() or not ((p.sum(1) - 1).abs() < 1e-4).all():
        raise ValueError("a row of probabilities is negative, not finite or does not sum to 1")
    if splits < 1 or len(p) % splits:
        raise ValueError(f"{len(p)} images do not make {splits} splits of one size")
    p = p.unflatten(0, (splits, -1))
    # mean KL(p_i || mean p) = H(mean p) - mean H(p_i), and entr(0) is 0
    divergence = torch.special.entr(p.mean(1)).sum(1) - torch.special.entr(p).sum(2).mean(1)
    return mean_and_spread(divergence.exp())
