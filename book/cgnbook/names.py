"""What the book calls things: data sets, training sets, classifiers, losses."""

NAMES = {"colored": "C-MNIST", "double_colored": "DC-MNIST", "wildlife": "W-MNIST"}
SETTINGS = {
    "original": "Original",
    "gan": "GAN",
    "cgn": "CGN",
    "original+gan": "Original + GAN",
    "original+cgn": "Original + CGN",
    "original+decorrelated": "Original + random cues",
}
PLAIN, CONTROL, INVARIANT = "plain", "real", "real+cgn"
CLASSIFIERS = {
    PLAIN: "real",
    CONTROL: "real, three heads",
    INVARIANT: "real + CGN",
}
SUBJECTS = {
    "plain": "plain classifier",
    "shape": "shape head",
    "texture": "texture head",
    "bg": "background head",
    "avg": "mean of the heads",
    "shape_texture": "shape and texture heads",
}
ABLATED = {
    "shape": "without L_shape",
    "texture": "without L_text",
    "background": "without L_bg",
    "reconstruction": "without L_rec",
    "none": "all losses",
    "published": "all losses, published weights",
    "biggan": "BigGAN itself",
}
NONE = "–"


def key(name: str) -> str:
    """A name as the text's keys have it: `double-colored`."""
    return name.replace("_", "-")
