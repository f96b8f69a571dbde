"""CGNs by the losses that they went without: numbers by ablation, and what a probe reads."""

import pandas as pd

from cgnbook import ablations
from cgnbook.names import NONE


def frame(*rows):
    """Records of (ablation, metrics of one run)."""
    made = [
        {"removed": ablation, "metric": metric, "value": value}
        for ablation, metrics in rows
        for metric, value in metrics.items()
    ]
    return pd.DataFrame(made, columns=["removed", "metric", "value"])


def test_each_metric_is_listed_over_runs():
    live = frame(("shape", {"a": 3.0}), ("none", {"a": 5.0, "b": 0.1}), ("none", {"a": 7.0}))
    found = {"shape": {"a": [3.0]}, "none": {"a": [5.0, 7.0], "b": [0.1]}}
    assert ablations.measured(live) == found
    assert ablations.measured(frame()) == {}
    others = frame(("", {"test_accuracy": 0.5}))  # no CGN is behind them
    assert ablations.measured(pd.concat([live, others])) == found


def test_what_a_probe_reads_is_in_percent():
    masks = {"mask_iou": 0.5, "mask_binary": 0.75}
    names = ("shape", "texture", "background", "all")
    read = {f"{name}_read": share for name, share in zip(names, (0.1, 0.2, 0.3, 0.4), strict=True)}
    ours = frame(
        ("none", masks | read),
        ("none", masks | read | {"shape_read": 0.2, "mask_iou": 0.7}),
        ("texture", masks | read),
        ("biggan", {"inception_score": 9.0}),
    )
    made = ablations.probed({"Trained here (full)": frame(("published", masks)), "This run": ours})
    assert made[["Source", "CGN"]].values.tolist() == [
        ["Trained here (full)", "all losses, published weights"],
        ["This run", "all losses"],
        ["This run", "without L_text"],
    ]
    published, none, texture = made.drop(columns=["Source", "CGN"]).to_dict("records")
    assert none == {
        "Runs": 2, "Shape": "15 ± 7", "Texture": "20 ± 0", "Background": "30 ± 0",
        "All three": "40 ± 0", "Mask IoU": "0.60", "Mask binary": "75 ± 0",
    }  # fmt: skip
    assert texture["Runs"] == 1 and texture["Shape"] == "10"
    assert published["Shape"] == published["All three"] == NONE
    assert published["Mask IoU"] == "0.50"
