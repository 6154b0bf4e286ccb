"""Formulas as SVG paths by matplotlib: no network, no LaTeX, and they follow the colour of the text.

A block may have several lines, parted by `\\\\`; an `&` marks nothing and is dropped.
"""

import html
import re
from typing import Any

import numpy as np
from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath, TextToPath

_SIZE, _MARGIN = 100.0, 4.0
_EM = 0.0105  # of the text, for one unit of the path
_LETTER = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
_FONT = FontProperties(size=_SIZE, math_fontfamily="stix")


def svg(formula: str) -> str:
    """An inline `<svg>` of one line of a formula in TeX's notation, on the base line of the text around it.

    Raises
    ------
    ValueError
        It is nothing that matplotlib can set.
    """
    text = f"${formula.strip()}$"
    width, height, depth = TextToPath().get_text_width_height_descent(text, _FONT, ismath=True)
    path = TextPath((0.0, 0.0), text, size=_SIZE, prop=_FONT)
    drawn = "".join(
        _LETTER[code] + " ".join(f"{value:.4g}" for value in np.ravel(points.reshape(-1, 2) * (1.0, -1.0)))
        if code != Path.CLOSEPOLY
        else "Z"
        for points, code in path.iter_segments(simplify=False, curves=True)
    )
    above, below = height - depth + _MARGIN, depth + _MARGIN
    box = f"0 {-above:.4g} {width:.4g} {above + below:.4g}"
    wide, high, low = width * _EM, (above + below) * _EM, -below * _EM
    size = f"width:{wide:.3f}em;height:{high:.3f}em;vertical-align:{low:.3f}em"
    label = html.escape(formula.strip(), quote=True)
    return (
        f'<svg class="formula" role="img" aria-label="{label}" viewBox="{box}" style="{size}">'
        f'<path fill="currentColor" d="{drawn}"/></svg>'
    )


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_checked(node, node.astext()))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    lines = re.split(r"\\\\\s", node.astext().strip().replace("&", "") + " ")
    self.body.append(self.starttag(node, "div", CLASS="formulas"))
    for line in filter(str.strip, lines):
        self.body.append(f"<div>{_checked(node, line)}</div>")
    if node.get("number"):
        self.body.append(f'<span class="number">({node["number"]})</span>')
    self.body.append("</div>\n")
    raise nodes.SkipNode


def _checked(node: nodes.Element, formula: str) -> str:
    try:
        return svg(" ".join(formula.split()))
    except ValueError as error:
        raise ValueError(f"{node.source}: line {node.line}: {formula}: {error}") from error


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathtext", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
