"""What an FMU from here holds about itself: a JSON file that its slave reads; to write it takes no other package."""

import json
from pathlib import Path
from typing import Any

from dmpcrl_ctrl.errors import FMUError

SPEC, FORMAT = "dmpcrl_ctrl.json", "dmpcrl_ctrl fmu 1"


def read_spec(file: Path) -> dict[str, Any]:
    """What the FMU says about itself.

    Raises
    ------
    FMUError
        The file is not there, or was not written by this package.
    """
    try:
        spec = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FMUError(f"{file} cannot be read: {error}") from error
    if not isinstance(spec, dict) or spec.get("format") != FORMAT:
        raise FMUError(f"{file}: expected format {FORMAT!r}")
    return spec
