"""How many threads the linear algebra uses: one, since a second one costs more than it brings to small dense matrices.

Factorisations became seventy times slower for one of them, on two cores with other work. What is set here takes effect
before numpy is loaded, so nothing heavy is imported.
"""

import os

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """Let the linear algebra of this process use one thread; a value that is set stays."""
    for variable in VARIABLES:
        os.environ.setdefault(variable, "1")
