"""Names of measures: taken apart as they were put together."""

import pytest

from cgnlib.measures.naming import Measure, follows


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("bg_gap", Measure("bg_gap")),
        ("shape_texture/bg_gap", Measure("bg_gap", "shape_texture")),
        ("fine/shape/heat_inside", Measure("heat_inside", "shape", "fine")),
    ],
)
def test_a_name_has_up_to_three_parts(name, measure):
    assert measure.name == name and Measure.of(name) == measure
    with pytest.raises(ValueError, match="more parts"):
        Measure.of(f"a/b/{name}/c")


def test_what_is_followed_is_named_after_the_parts_of_the_image():
    """As it stands in the records: `Measure` and this are not to be changed."""
    assert follows(("real", "real", "cgn"), "shape") == "real_real_cgn_follows_shape"
    assert follows(["cgn"], "background") == "cgn_follows_background"
