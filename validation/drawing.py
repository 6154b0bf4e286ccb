"""From a figure to a picture in a page: inline SVG that stands beside others, prints, and is read aloud."""

import html
import io
import re
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmpcrl_ctrl.cosim.plot import QUIET

WIDTH = 9.0


@dataclass(frozen=True)
class Picture:
    """An SVG element with its heading and a sentence on what it shows.

    Attributes
    ----------
    key
        Unique in the page; every identifier inside the SVG begins with it.
    title, caption
        For the page, and for a screen reader.
    svg
        The element.
    """

    key: str
    title: str
    caption: str
    svg: str


def panel_row(titles: list[str], height: float) -> tuple[Figure, list[Axes]]:
    """Axes side by side in the look of `Run.plot`; height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = list(figure.subplots(1, len(titles), squeeze=False)[0])
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left", fontsize=9.5)
        ax.grid(color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#9a9a9a")
        ax.tick_params(which="both", colors="#404040", labelsize=8)
        ax.xaxis.label.set(color=QUIET, fontsize=9)
        ax.yaxis.label.set(color=QUIET, fontsize=9)
    return figure, axes


def legend_above(ax: Axes) -> None:
    """A legend in one line at the height of the title, where it covers nothing."""
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        frameon=False,
        fontsize=8,
        handlelength=1.3,
        columnspacing=1.0,
        borderaxespad=0.1,
        handletextpad=0.4,
    )


def to_picture(figure: Figure, key: str, title: str, caption: str) -> Picture:
    """The figure as an SVG element: own identifiers, a title, a description; the same bytes for the same figure."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "dmpcrl-ctrl", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Several drawings share a page: their identifiers must not meet.
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r"url\(#", f"url(#{key}-", svg)
    svg = re.sub(r'href="#', f'href="#{key}-', svg)
    head, body = svg.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    label = f'role="img" aria-labelledby="{key}-title {key}-desc"'
    words = f'<title id="{key}-title">{html.escape(title)}</title><desc id="{key}-desc">{html.escape(caption)}</desc>'
    return Picture(key, title, caption, f"{head} {label}>{words}{body}")
