"""How pictures are drawn: colours, panels of like signals, held steps, limits, and the way to inline SVG.

Signals that differ only in a number at the end (dtheta_1, dtheta_2 ...) share a panel, one line an agent.
"""

import html
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmpcrl_ctrl.arrays import Array

# Okabe and Ito: told apart by colour-blind eyes; the dashes tell them apart in a grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (3, 1)),
    (0, (5, 1, 1, 1)),
    (0, (1.5, 1)),
    "-",
    (0, (6, 1.5)),
    (0, (3, 1)),
)
LIMIT = "#B22222"
WIDTH = 9.0
MOST_POINTS = 4000  # on one line; more would only make the page heavy
STYLE = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": "#8a8a8a",
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Picture:
    """An SVG element with its heading and a sentence on what it shows."""

    key: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Panel:
    """Signals that are drawn on one pair of axes: their common stem and their columns."""

    stem: str
    columns: tuple[int, ...]
    labels: tuple[str, ...]


def panels(names: Sequence[str]) -> list[Panel]:
    """Group signals by their names without the number at the end: a panel for each stem, in order of appearance."""
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        groups.setdefault(re.sub(r"_?\d+$", "", name) or name, []).append(column)
    result = []
    for stem, columns in groups.items():
        label = stem if len(columns) > 1 else names[columns[0]]
        result.append(Panel(label, tuple(columns), tuple(names[c] for c in columns)))
    return result


def line_style(place: int) -> dict[str, Any]:
    """Colour and dashes of the line in this place of a panel."""
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}


def draw_held(ax: Axes, time: Array, values: Array, **style: Any) -> None:
    """A signal that is constant from each sample to the next: K values on K + 1 times."""
    ax.step(*thinned(time, np.append(values, values[-1:])), where="post", **style)


def thinned(time: Array, values: Array) -> tuple[Array, Array]:
    """The same trace with few enough points: the least and the largest value of each stretch of time stay."""
    if len(time) <= MOST_POINTS:
        return time, values
    edges = np.linspace(0, len(time), MOST_POINTS // 2 + 1).astype(int)
    kept = set()
    for start, end in itertools.pairwise(edges):
        stretch = values[start:end]
        kept |= {start + int(np.argmin(stretch)), start + int(np.argmax(stretch))}
    index = np.array(sorted(kept | {0, len(time) - 1}))
    return time[index], values[index]


def draw_limits(ax: Axes, limits: Array) -> None:
    """Dashed lines at the limits (columns, 2): red where all signals share them, else in the signal's colour.

    Limits far outside the traces would squeeze them to a line; they are told in words instead.
    """
    ax.autoscale_view()
    low, high = ax.get_ylim()
    room = 1.5 * (high - low)
    shared = len(limits) == 1 or (limits == limits[0]).all()
    far: set[float] = set()
    for place, pair in enumerate(limits[:1] if shared else limits):
        colour = LIMIT if shared else line_style(place)["color"]
        for value in pair[np.isfinite(pair)]:
            if low - room <= value <= high + room:
                ax.axhline(value, color=colour, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.9, zorder=1)
            else:
                far.add(float(value))
    if far:
        words = f"limits {', '.join(f'{value:g}' for value in sorted(far))} lie outside this picture"
        ax.text(1.0, 1.02, words, transform=ax.transAxes, ha="right", va="bottom", fontsize=7.5, color=LIMIT)


def finish(ax: Axes, panel: Panel, units: Sequence[str]) -> None:
    """Title with the unit that all signals share, and a legend where there is more than one."""
    unit = units[0] if units and len(set(units)) == 1 and units[0] not in ("", "1") else ""
    ax.set_title(f"{panel.stem} [{unit}]" if unit else panel.stem)
    if 1 < len(panel.labels) <= 12:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.margins(x=0)


def stacked(count: int, height: float = 1.6) -> tuple[Figure, list[Axes]]:
    """Axes one below the other, with a common time; height in inches each."""
    figure = Figure(figsize=(WIDTH, 0.45 + height * count), layout="constrained")
    axes = figure.subplots(count, 1, sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def side_by_side(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Axes next to each other; height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)
    return figure, list(axes[0])


def to_picture(figure: Figure, key: str, title: str, caption: str) -> Picture:
    """The figure as an SVG element that may stand in a page beside others: own identifiers, a title, a description."""
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
