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

# By mechanism, the classes that the mode `best_classes` draws from.
BEST_CLASSES = {
    "shape": (
        *(9, 18, 22, 35, 56, 63, 96, 97, 119, 207, 225, 260, 275, 323, 330, 350, 370, 403, 411),
        *(414, 427, 438, 439, 441, 460, 484, 493, 518, 532, 540, 550, 559, 561, 570, 604, 647),
        *(688, 713, 724, 749, 751, 756, 759, 779, 780, 802, 814, 833, 841, 849, 850, 859, 869),
        *(872, 873, 874, 876, 880, 881, 883, 894, 897, 898, 900, 907, 930, 933, 945, 947, 949),
        *(950, 953, 963, 966, 967, 980),
    ),
    "texture": (
        *(12, 15, 18, 25, 54, 66, 72, 130, 145, 207, 251, 267, 271, 275, 293, 323, 385, 388, 407),
        *(409, 427, 438, 439, 441, 454, 461, 468, 482, 483, 486, 490, 492, 509, 530, 555, 607),
        *(608, 629, 649, 652, 681, 688, 719, 720, 728, 737, 741, 751, 756, 779, 800, 810, 850),
        *(852, 854, 869, 881, 907, 911, 930, 936, 937, 938, 941, 949, 950, 951, 954, 957, 959),
        *(963, 966, 985, 987, 992),
    ),
    "background": (
        *(7, 9, 20, 30, 35, 46, 50, 65, 72, 93, 96, 97, 119, 133, 147, 337, 350, 353, 354, 383),
        *(429, 460, 693, 801, 888, 947, 949, 952, 953, 955, 958, 970, 972, 973, 974, 977, 979),
        998,
    ),
}


def loss_weights(setting: str, ablation: str = "none") -> dict[str, float | tuple[float, ...]]:
    """The losses that an ablation leaves, and their weights.  Raises CGNError for unknown names."""
    for name, known in ((setting, IMAGENET_WEIGHTS), (ablation, ABLATIONS)):
        if name not in known:
            raise CGNError(f"{name!r} is not known: choose {', '.join(known)}")
    off = ABLATIONS[ablation]
    return {name: w for name, w in IMAGENET_WEIGHTS[setting].items() if name not in off}
