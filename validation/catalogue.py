"""What is at hand: the kinds of plants and controllers, and the experiment files in a folder, with one line each."""

import tomllib
from pathlib import Path
from typing import get_args

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.sections import CONTROLLERS, PLANTS, Section
from dmpcrl_ctrl.validation.toml_text import read_text

Entry = tuple[str, str]


def entries(folder: Path) -> list[tuple[str, list[Entry]]]:
    """Headings with their (name, line) pairs: plants, controllers, experiments of `folder` and `folder`/examples."""
    files = sorted({*folder.glob("*.toml"), *(folder / "examples").glob("*.toml")})
    experiments = [(str(path), title) for path in files if (title := _title(path)) is not None]
    return [
        ("Plants", [_described(kind) for kind in PLANTS]),
        ("Controllers", [_described(kind) for kind in CONTROLLERS]),
        ("Experiments", experiments or [("none", f"no experiment file in {folder} or {folder / 'examples'}")]),
    ]


def _described(kind: type[Section]) -> Entry:
    (name,) = get_args(kind.model_fields["kind"].annotation)  # of Literal["name"]
    return name, kind.line()


def _title(path: Path) -> str | None:
    """Title of an experiment file; None for TOML files that are something else, or that cannot be read."""
    try:
        table = tomllib.loads(read_text(path))
    except (ExperimentError, ValueError, RecursionError):
        return None
    title = table.get("title")
    return title if isinstance(title, str) and {"plant", "controller"} <= table.keys() else None
