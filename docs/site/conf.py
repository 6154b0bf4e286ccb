"""Settings of the documentation site: `make docs` builds it, offline, with warnings as errors."""

import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.util.nodes import make_refnode

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from dmpcrl_ctrl import __version__  # noqa: E402

project = "dmpcrl-ctrl"
author = "The dmpcrl-ctrl developers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathtext"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
# single backticks mean code in our docstrings
default_role = "code"
nitpicky = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
# several attributes may share a line
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"dmpcrl-ctrl {version}"
html_math_renderer = "mathtext"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

# Docstrings name each other by the module in which they stand; the reference shows them by their public name.
_BAR = re.compile(r"(``.*?``|`.*?`|^ *(?:>>>|\.\.\. ).*$)|\|", re.DOTALL | re.MULTILINE)


def _plain(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """|x| in a docstring is a magnitude, not markup."""
    lines[:] = _BAR.sub(lambda found: found[1] or r"\|", "\n".join(lines)).split("\n")


def _resolved(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """A name in a docstring leads to its public entry, and stands as plain text where it has none.

    A page that is written by hand has to name what exists; so has a docstring that gives a full name of this package.
    """
    if node.get("refdomain") != "py":
        return None
    target, python = node["reftarget"], env.get_domain("py")
    last = target.rpartition(".")[2]
    found = [name for name in python.objects if name.rpartition(".")[2] == last and name.count(".") < 4]
    if len(found) == 1 and last[:1].isalpha():
        entry = python.objects[found[0]]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, found[0])
    if not node["refdoc"].startswith("reference/") or (target.startswith("dmpcrl_ctrl.") and not _exists(target)):
        return None
    return contnode


def _exists(target: str) -> bool:
    try:
        pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
        return False
    return True


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _plain, priority=100)
    app.connect("missing-reference", _resolved)
