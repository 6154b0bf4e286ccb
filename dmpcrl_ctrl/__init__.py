"""Distributed model predictive control that learns, in a co-simulation that is exact."""

from pathlib import Path

# In a checkout the folders plants/, controllers/, cosim/ and validation/ stand beside this one; in an installed
# wheel they lie inside it and there is nothing to add.
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():
    __path__.append(str(_root))

__version__ = "0.1.0"
