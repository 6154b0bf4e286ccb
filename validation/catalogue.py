"""What is at hand: the kinds of plants and controllers, and the experiments and campaigns in a folder, in lines."""

import tomllib
from pathlib import Path
from typing import get_args

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.sections import CONTROLLERS, PLANTS, Section
from dmpcrl_ctrl.validation.toml_text import read_text

Entry = tuple[str, str]

_OF_A_CAMPAIGN = {"experiment", "plants", "controllers", "grid", "criteria", "runs"}


def entries(folder: Path) -> list[tuple[str, list[Entry]]]:
    """Headings with their (name, line) pairs: plants, controllers, and what `folder` and `folder`/examples hold."""
    files = sorted({*folder.glob("*.toml"), *(folder / "examples").glob("*.toml")})
    told = [(str(path), found) for path in files if (found := _told(path)) is not None]
    experiments = [(path, title) for path, (title, campaign) in told if not campaign]
    campaigns = [(path, title) for path, (title, campaign) in told if campaign]
    return [
        ("Plants", [_described(kind) for kind in PLANTS]),
        ("Controllers", [_described(kind) for kind in CONTROLLERS]),
        ("Experiments", experiments or [("none", f"no experiment file in {folder} or {folder / 'examples'}")]),
        *([("Campaigns", campaigns)] if campaigns else []),
    ]


def _described(kind: type[Section]) -> Entry:
    (name,) = get_args(kind.model_fields["kind"].annotation)  # of Literal["name"]
    return name, kind.line()


def _told(path: Path) -> tuple[str, bool] | None:
    """Title, and whether it is a campaign's; None for TOML files that are something else, or that cannot be read."""
    try:
        table = tomllib.loads(read_text(path))
    except (ExperimentError, ValueError, RecursionError):
        return None
    title = table.get("title")
    campaign = bool(_OF_A_CAMPAIGN & table.keys())
    known = campaign or {"plant", "controller"} <= table.keys()
    return (title, campaign) if isinstance(title, str) and known else None
