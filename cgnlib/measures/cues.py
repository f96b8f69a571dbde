"""Which cue the answers of a classifier follow, where the cues of an image disagree."""

from torch import Tensor


def conflicting(y: Tensor, fg: Tensor, bg: Tensor) -> Tensor:
    """Which images have three cues of three classes, [N] bool."""
    return (y != fg) & (y != bg) & (fg != bg)


def follow(predicted: Tensor, y: Tensor, fg: Tensor, bg: Tensor) -> dict[str, float]:
    """Shares of predictions that name the shape, the foreground and the background.

    They are over images whose three cues name three classes.  All: [N] int64.
    Raises ValueError where there is no such image.
    """
    apart = conflicting(y, fg, bg)
    if not apart.any():
        raise ValueError("no image has three cues of three classes; whom it follows is undefined")
    return {
        cue: (predicted == of)[apart].float().mean().item()
        for cue, of in (("shape", y), ("foreground", fg), ("background", bg))
    }
