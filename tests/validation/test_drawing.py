"""Drawing: like signals share a panel, thinning keeps extremes, an SVG can stand beside others and be read aloud."""

from xml.etree import ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dmpcrl_ctrl.validation.drawing import MOST_POINTS, panels, thinned, to_picture


def test_signals_that_differ_in_a_number_share_a_panel() -> None:
    found = panels(["dtheta_1", "domega_1", "dtheta_2", "domega_2", "speed", "x1_1", "x2_1", "h1", "h2"])
    assert [(panel.stem, panel.columns) for panel in found] == [
        ("dtheta", (0, 2)),
        ("domega", (1, 3)),
        ("speed", (4,)),
        ("x1_1", (5,)),
        ("x2_1", (6,)),
        ("h", (7, 8)),
    ]


@given(st.lists(st.text("ab_12", min_size=1, max_size=5), max_size=10, unique=True))
def test_every_signal_is_on_exactly_one_panel(names: list[str]) -> None:
    columns = [column for panel in panels(names) for column in panel.columns]
    assert sorted(columns) == list(range(len(names)))


@given(st.integers(2, 40_000), st.integers(0, 2**32 - 1))
def test_thinning_keeps_order_ends_and_extremes(length: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal(length)
    time = np.arange(float(length))
    few, kept = thinned(time, values)
    assert len(few) <= MOST_POINTS + 2
    assert (np.diff(few) > 0).all()
    assert (values[few.astype(int)] == kept).all()
    assert {kept.min(), kept.max()} == {values.min(), values.max()}
    assert (few[0], few[-1]) == (0.0, length - 1.0)


def picture(key: str) -> str:
    figure = Figure()
    figure.subplots().plot([0, 1], [0, 1], label="a")
    return to_picture(figure, key, "Title <1>", "What & why").svg


def test_an_svg_is_well_formed_and_described() -> None:
    root = ElementTree.fromstring(picture("one"))
    assert root.get("role") == "img"
    names = {element.get("id"): element.text for element in root.iter() if element.get("id")}
    title, description = str(root.get("aria-labelledby")).split()
    assert names[title] == "Title <1>"
    assert names[description] == "What & why"


def test_two_svgs_share_no_identifier_and_all_references_resolve() -> None:
    def identifiers(svg: str) -> set[str]:
        return {str(element.get("id")) for element in ElementTree.fromstring(svg).iter() if element.get("id")}

    one, two = picture("one"), picture("two")
    assert not identifiers(one) & identifiers(two)
    for element in ElementTree.fromstring(one).iter():
        for name, value in element.attrib.items():
            if name.endswith("href"):
                assert value.removeprefix("#") in identifiers(one)
            if value.startswith("url(#"):
                assert value.removeprefix("url(#").rstrip(")") in identifiers(one)


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert picture("one") == picture("one")
