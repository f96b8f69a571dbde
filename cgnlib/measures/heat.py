"""Heat maps of a classifier, and how well they cover the object.

`maps` are heat maps, [B, H, W], not negative; `masks` are true shapes, bool, [B, H, W] or
[B, 1, H, W].  Method: section 7.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
import torch.nn.functional as F
from pytorch_grad_cam import ActivationsAndGradients, GradCAM
from torch import Tensor, nn


@contextmanager
def evaluation(net: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every layer is in the mode it was in."""
    modes = [(layer, layer.training) for layer in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


class HeatMaps(GradCAM):
    """GradCAM of one layer: `with HeatMaps(net, layer) as maps: maps(x)`.

    ReLU of the sum over channels of activation times mean gradient of the score.  The score is
    what the net puts out: of the CNN the log-probability, of a subject of an ensemble the logit.
    The gradient is taken at the layer's output.  The activation is what that tensor holds after
    the pass: where a ReLU changes it in place, as after the CNN's `model[8]`, the one behind the
    ReLU; the study's maps are made so.  On an ensemble the study's layer is
    `backbone[7][-1].conv1`, which no layer changes in place.

    subject: who answers, for a net with several.  The net is in evaluation mode inside the block
    and as it was after it.  Raises ValueError for a layer of another net.

    Of the library: hooks, channel weights and weighted sum, without what it does around them.  Its
    constructor leaves the net in evaluation mode, and hooks that copy the activation to the CPU at
    once: before an in-place ReLU on a GPU, yet after it on a CPU.  Its call resets and fills the
    gradients of the parameters and stretches each map to 0...1.
    Source: Selvaraju et al. 2017; the study's code; the package grad-cam.
    """

    def __init__(self, net: nn.Module, layer: nn.Module, subject: str | None = None):
        self.net, self.layer, self.subject, self._undo = net, layer, subject, ExitStack()
        self.activations_and_grads = ActivationsAndGradients(net, [], None, detach=False)
        if not any(layer is own for own in net.modules()):
            raise ValueError(f"{layer} is not a layer of this {type(net).__name__}")

    def __enter__(self) -> "HeatMaps":
        self._undo.enter_context(evaluation(self.net))
        hooks = ActivationsAndGradients(self.net, [self.layer], None, detach=False)
        self._undo.callback(hooks.release)
        self.activations_and_grads = hooks
        return self

    def __exit__(self, *_) -> None:
        self._undo.close()

    def __call__(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Maps at image size, [B, H, W], bilinear, not normalised.

        x: [B, 3, H, W].  target: the class whose score is explained, [B]; left out, the predicted
        one.  Raises ValueError for a subject that the net has not, RuntimeError outside the block.
        """
        hooks = self.activations_and_grads
        if not hooks.handles:
            raise RuntimeError("heat maps are made inside the with block")
        with torch.inference_mode(False), torch.enable_grad():
            image = x.detach().clone().requires_grad_()
            scores = hooks(image)
            scores = scores if isinstance(scores, dict) else {None: scores}
            if self.subject not in scores:
                raise ValueError(f"subject {self.subject!r} is not among the net's: {list(scores)}")
            of_subject = scores[self.subject]
            target = of_subject.argmax(1) if target is None else target.to(x.device)
            score = of_subject.gather(1, target[:, None]).sum()
            torch.autograd.grad(score, image)  # of the image: parameters collect nothing
        (activation,), (gradient,) = hooks.activations, hooks.gradients
        hooks.activations, hooks.gradients = [], []  # they hold the graph
        arrays = (t.detach().cpu().numpy() for t in (activation, gradient))
        cam = torch.from_numpy(self.get_cam_image(None, None, None, *arrays)).to(x.device)
        size = x.shape[-2:]
        return F.interpolate(cam.relu()[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def normalised(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Each map stretched to 0...1, [B, H, W], and which maps are constant, [B] bool.

    A constant map has no highest place and becomes 0 (the study's: not a number).  A second call
    changes nothing.  Raises ValueError for values that are not finite.
    """
    if maps.ndim != 3 or not maps.isfinite().all():
        raise ValueError(f"maps of shape {tuple(maps.shape)}: needs finite values, [B, H, W]")
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    constant = low == high
    spread = torch.where(constant, 1.0, high - low)
    return (maps - low) / spread, constant[:, 0, 0]


def _aligned(maps: Tensor, masks: Tensor) -> Tensor:
    """The masks as [B, H, W].  Raises ValueError where they do not fit the maps."""
    if masks.ndim == 4:
        masks = masks.squeeze(1)
    if masks.dtype != torch.bool or masks.shape != maps.shape:
        shapes = f"{tuple(masks.shape)} for maps {tuple(maps.shape)}"
        raise ValueError(f"masks are bool and of the maps' shape, not {masks.dtype} {shapes}")
    return masks


def _hot(maps: Tensor, threshold: float) -> Tensor:
    """Where a normalised map reaches the threshold, [B, H, W] bool; nowhere on a constant map."""
    scaled, constant = normalised(maps)
    return (scaled >= threshold) & ~constant[:, None, None]


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, [B]; 0 where both are empty, unlike in `metrics.paired_iou`."""
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2)).clamp_min(1)


def foreground_iou(maps: Tensor, masks: Tensor, threshold: float = 0.5) -> Tensor:
    """IoU of the mask and of where the normalised map reaches the threshold, [B].

    A constant map reaches it nowhere: 0.
    """
    return _iou(_hot(maps, threshold), _aligned(maps, masks))


def background_iou(maps: Tensor, masks: Tensor, threshold: float = 0.5) -> Tensor:
    """IoU of the rest: outside the mask, and where the normalised map is below the threshold, [B].

    A constant map is below it everywhere: the share of the image outside the mask.
    """
    return _iou(~_hot(maps, threshold), ~_aligned(maps, masks))


def study_iou(maps: Tensor, masks: Tensor, threshold: float = 0.5) -> Tensor:
    """Mean of foreground and background IoU, [B]: the study's measure.

    As torchmetrics computed it in 2022: a class that neither map nor mask has scores 0, and a
    constant map counts as an empty prediction.  The background speaks loudest: small maps do well.
    """
    return (foreground_iou(maps, masks, threshold) + background_iou(maps, masks, threshold)) / 2


def heat_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Share of the heat that lies inside the mask, [B].  Needs no threshold.

    maps: not normalised, since the lowest heat counts too.  A map without heat prefers no place
    and gets, as every constant map does, the share of the image that the mask covers: what chance
    gets, in `average_precision` too.  `normalised` tells which maps these are; count them apart.
    Raises ValueError for negative heat.
    """
    masks, constant = _aligned(maps, masks), normalised(maps)[1][:, None, None]
    if maps.amin() < 0:
        raise ValueError("heat is negative")
    heat = torch.where(constant, 1.0, maps.double())
    return ((heat * masks).sum((1, 2)) / heat.sum((1, 2))).float()


def average_precision(maps: Tensor, masks: Tensor) -> Tensor:
    """Average precision of heat as a detector of the mask's pixels, [B]: no threshold, no scale.

    Sum over the distinct heats, from the highest, of precision times gain in recall.  A constant
    map gets the share of the image that the mask covers.  Raises ValueError for an empty mask.
    """
    masks = _aligned(maps, masks).flatten(1)
    if not masks.any(1).all() or not maps.isfinite().all():
        raise ValueError("a mask is empty or a map not finite; average precision is undefined")
    heat, order = maps.flatten(1).sort(1, descending=True)
    hit = masks.gather(1, order).double()
    place = torch.arange(hit.shape[1], device=hit.device)
    precision = hit.cumsum(1) / (place + 1)
    # equal heats enter together: each place takes the precision at the end of its run
    ends = F.pad(heat[:, 1:] != heat[:, :-1], (0, 1), value=True)
    end = torch.where(ends, place, len(place)).flip(1).cummin(1).values.flip(1)
    return ((hit * precision.gather(1, end)).sum(1) / hit.sum(1)).float()
