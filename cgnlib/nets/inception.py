"""Inception-v3 as the inception score's judge: from images to class probabilities.

Its settings are the study's but for one, which has no default here.  torchvision's network can
rescale its input from ImageNet normalisation to -1...1 (`transform_input`).  Images here are in
-1...1 already, so the standard score has it off; the study's copy of the score left it on, by
accident, and its images are scaled twice.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import weights

SIZE = 299
TRANSFORM_INPUT = {"standard": False, "study": True}


class Inception(nn.Module):
    """Frozen; resizes x bilinearly to 299 x 299, returns softmax probabilities [B, 1000].

    x: [B, 3, H, W] in -1...1.  net: torchvision's Inception-v3.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", align_corners=False)
        return self.net(x).softmax(1)

    def train(self, mode: bool = True) -> "Inception":
        """Frozen: stays in evaluation mode."""
        return super().train(False)


def build(protocol: str) -> Inception:
    """The judge of a protocol, a key of TRANSFORM_INPUT.

    The weights are torchvision's V1, looked for under CGN_DATA; nothing is downloaded here.
    Raises CGNError for another protocol and for weights that are missing or another net's.
    """
    if protocol not in TRANSFORM_INPUT:
        raise CGNError(f"unknown protocol {protocol!r}: choose {', '.join(TRANSFORM_INPUT)}")
    from torchvision.models import inception_v3

    net = inception_v3(weights=None, transform_input=TRANSFORM_INPUT[protocol], init_weights=False)
    path = sources.find("inception-v3")
    return Inception(weights.load(net, path, mend="use torchvision's V1 weights"))
