"""python -m benchmarks [ROW ...]: measure, and write docs/performance.md where all rows were asked for.

With --write before the rows, those of the page are replaced.
"""

import platform
import sys
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

from benchmarks.rows import ROWS, Row

TABLE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PACKAGES = ("numpy", "scipy", "proxsuite", "control")
HEAD = """# Performance

Written by `make bench`, and single rows by `python -m benchmarks --write ROW ...`. A figure with a goal is a ratio
within one run: two things are timed in turn, and the median over the pairs stands with its quartiles. Milliseconds have
no goal: they tell where a machine stands.

The peer is dmpcrl 1.0.0 with IPOPT, in an environment and a process of its own: .peer, or the folder that the
environment variable DMPCRL_PEER names. It needs Python 3.11. Its problems are stated anew by its public interface, and
a row has a number only where V and its gradient, of the whole network as one program, are the same for both.
Errors are those against our central evaluator with another solver (DAQP), for which the peer vouches to 1e-4. Of few
agents ours makes all rounds of averaging by one product with their matrix, where the peer makes one after the other.
"""
# Shares as sampled when they were last looked at; whoever changes what they are shares of looks again.
FOOT = """
## Why some goals are not reached

- **Training steps** (beside the peer, per local solve, the paper's first example in full): a step is thousands of numpy
  calls on small arrays, and none of them stands out. In the chain a fifth of a step is iterations of ADMM, a quarter
  the search for active rows after a new sample, a sixth the check of whole programs at the end, a sixth what is made
  anew after an update; the rest is plans, gradients and records. Iterations in which no bound moves are near their
  floor (first row).
- **A thousand areas**: nine tenths of a sample are the evaluation, some 2.2 ms an agent: the same numpy calls as above,
  once for each agent. Another 47 s pass before the first sample is logged and after the last.
- **Learned policy beside scenario MPC**: our scenario solver uses its structure; it takes no longer than an evaluation.
- **Central MPC step**: half of it is the solve, refined to rounding and checked by all its conditions, where backends
  stop at 1e-8; the other half is the agents' programs, plans, multipliers and shares of the value.
"""
COLUMNS = "| what | goal | measured | reached | |\n|---|---|---|---|---|\n"


def processor() -> str:
    """The name of the machine's processor, as far as it is told."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def line(row: Row) -> str:
    """The row of the table."""
    spread = "" if row.spread is None else f" ({row.spread[0]:.3g} to {row.spread[1]:.3g})"
    reached = {True: "yes", False: "no", None: ""}[row.reached]
    return f"| {row.name} | {row.goal} | {row.value:.3g}{spread} | {reached} | {row.note} |"


def main(arguments: list[str]) -> int:
    """Measure rows, all if none is named; 2 where one is not known."""
    names = [argument for argument in arguments if argument != "--write"]
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    lines = []
    for name in names or ROWS:
        lines.append(line(ROWS[name]()))
        print(lines[-1], flush=True)
    if names == arguments and names:
        return 0
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    head = f"{HEAD}\n{processor()}, {cpu_count()} cores; Python {platform.python_version()}, {packages}.\n\n{COLUMNS}"
    TABLE.write_text(written(head, lines, TABLE.read_text(encoding="utf-8") if names else ""), encoding="utf-8")
    print(f"wrote {TABLE}")
    return 0


def written(head: str, lines: list[str], before: str) -> str:
    """The page: the lines, at the place of those of the same name in the page before, or at the end of the table."""
    rows = dict(row_of(text) for text in before.splitlines() if text.startswith("| ") and text not in COLUMNS)
    rows |= dict(map(row_of, lines))
    return head + "".join(f"{row}\n" for row in rows.values()) + FOOT


def row_of(text: str) -> tuple[str, str]:
    """The name of a row, and the row."""
    return text.split(" | ")[0], text


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
