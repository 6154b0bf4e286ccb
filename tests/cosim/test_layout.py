from dmpcrl_ctrl.cosim.layout import Axis, Layout


def test_an_axis_grows_unless_it_has_names_or_a_length() -> None:
    assert Axis("time").grows
    for axis, length in (
        (Axis("name", ("a", "b")), 2),
        (Axis("name", ()), 0),
        (Axis("k", size=7), 7),
        (Axis("k", size=0), 0),
    ):
        assert not axis.grows and axis.length == length


def test_axes_are_found_by_path() -> None:
    axes = (Axis("a", size=1), Axis("g/a", size=2))
    assert Layout(axes, (), {}).axis("g/a") is axes[1]
