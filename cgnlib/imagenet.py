"""ImageNet settings as data: loss weights, ablations and lists of classes.

Only the standard library is imported here.  The published lists of classes come with the paper's
code (MIT licence).
"""

from cgnlib.errors import CGNError


def gram_factors(*weights: float) -> tuple[float, ...]:
    """The factor of each layer's Gram distance for the published code's weights w: 5000 w^2."""
    return tuple(5000.0 * w**2 for w in weights)


# By setting, the weight of each loss; the Gram losses have one for each of VGG-16's layers
# 3, 8, 15 and 22.  `code` is what the published code trains with, `paper` what the paper prints.
# The paper's lambda = 5 of the texture loss is the code's w = 5, so its lambdas of the two Gram
# losses are read as that w, on the code's layers; the reconstruction then differs (w is 4 in the
# code).  Taken as plain factors on the Gram distance they would switch both losses off.
IMAGENET_WEIGHTS = {
    "code": {
        "l1": 100.0,
        "perc": gram_factors(4, 4, 4, 4),
        "binary": 300.0,
        "mask": 500.0,
        "text": gram_factors(0, 5, 5, 0),
        "bg": 2000.0,
    },
    "paper": {
        "l1": 100.0,
        "perc": gram_factors(5, 5, 5, 5),
        "binary": 300.0,
        "mask": 500.0,
        "text": gram_factors(0, 5, 5, 0),
        "bg": 2000.0,
    },
    # ours, for two layers of EfficientNet-lite0 on 64 pixels; see the chapter of claim 2
    "menagerie": {
        "l1": 100.0,
        "perc": (10.0, 10.0),
        "binary": 300.0,
        "mask": 500.0,
        "text": (10.0, 10.0),
        "bg": 2000.0,
    },
}

# By ablation, the losses that it leaves out (CGN paper, loss ablation table; the study's script).
ABLATIONS = {
    "none": (),
    "shape": ("binary", "mask"),
    "texture": ("text",),
    "background": ("bg",),
    "reconstruction": ("l1", "perc"),
}

# The rows of the published sampling sheet.
SHEET_CLASSES = (15, 251, 330, 382, 385, 483, 559, 751, 938, 947, 999)


def loss_weights(setting: str, ablation: str = "none") -> dict[str, float | tuple[float, ...]]:
    """The losses that an ablation leaves, and their weights.  Raises CGNError for unknown names."""
    for name, known in ((setting, IMAGENET_WEIGHTS), (ablation, ABLATIONS)):
        if name not in known:
            raise CGNError(f"{name!r} is not known: choose {', '.join(known)}")
    off = ABLATIONS[ablation]
    return {name: w for name, w in IMAGENET_WEIGHTS[setting].items() if name not in off}
