"""How many examples a property is tried on: all of them in `make test-long`, a quarter of them in `make test`."""

import os


def examples(full: int) -> int:
    """`full` where the environment variable THOROUGH is set, as `make test-long` does."""
    return full if os.environ.get("THOROUGH") else full // 4
