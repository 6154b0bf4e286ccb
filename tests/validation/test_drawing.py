"""Drawing: an SVG can stand beside others, be read aloud, and comes out the same every time."""

from xml.etree import ElementTree

from matplotlib.figure import Figure

from dmpcrl_ctrl.validation.drawing import to_picture


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
