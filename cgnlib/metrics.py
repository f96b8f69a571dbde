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
