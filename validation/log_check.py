"""Does a log hold what it claims? Everything that can be recomputed from the file alone is, and compared."""

from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from dmpcrl_ctrl.cosim.fingerprint import CHECKSUM, fingerprint_of_log, row_digests
from dmpcrl_ctrl.cosim.log import Run
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.schema import DENSE_TIME, DIGESTS, SAMPLE, TIME
from dmpcrl_ctrl.errors import DmpcrlError
from dmpcrl_ctrl.messages import one_line
from dmpcrl_ctrl.validation.comparison import Compared, verdict
from dmpcrl_ctrl.validation.loop_check import check_loop
from dmpcrl_ctrl.validation.solve_check import check_solves
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict

Progress = Callable[[float], None]


def verify_log(path: str | PathLike[str], progress: Progress | None = None) -> list[Verdict]:
    """Verdicts on a log: on its parameters, on its closed loop, on what its predictive controllers wrote down.

    Parameters
    ----------
    path
        HDF5 file of a run.
    progress
        Called with the finished fraction, from 0 to 1.

    Raises
    ------
    LogError
        The file is no log of this schema, or is damaged, or lacks what every log has.
    """
    reader = LogReader.open(Path(path))
    try:
        run = Run(reader)
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold any numbers
            found = [
                _parameters(reader, run),
                _rows(reader, run),
                *_guarded("closed loop", lambda: check_loop(run, reader)),
            ]
            for number, trace in enumerate(run.controllers.values()):
                told = _part(progress, number, len(run.controllers))
                found += _guarded(trace.name, partial(check_solves, trace, run.time, reader, told))
        return found
    finally:
        reader.close()


def _part(progress: Progress | None, number: int, parts: int) -> Progress:
    """Progress within one of several parts."""

    def told(fraction: float) -> None:
        if progress is not None:
            progress((number + fraction) / parts)

    return told


def _guarded(what: str, check: Callable[[], Iterable[Verdict]]) -> list[Verdict]:
    """The verdicts of a check; a file that holds no model or no plant where one should be has failed it."""
    try:
        return list(check())
    except DmpcrlError as error:
        text = one_line(error)
        return [Verdict(what, Outcome.FAILED, text, text)]


def _parameters(reader: LogReader, run: Run) -> Verdict:
    """Models, weights and limits beside their fingerprint: a bound that is never met shows nowhere else."""
    claimed, found = run.attributes.get(CHECKSUM), fingerprint_of_log(reader)
    if claimed == found:
        return Verdict("parameters", Outcome.PASSED, f"SHA-256 {found[:16]}…")
    detail = f"claimed SHA-256 {str(claimed)[:16]}…, found {found[:16]}…: an array or attribute was altered"
    return Verdict("parameters", Outcome.FAILED, detail, detail)


def _rows(reader: LogReader, run: Run) -> Verdict:
    """Every row beside its fingerprint: a number that no claim depends on shows nowhere else."""
    lengths = {SAMPLE: run.samples, TIME: run.samples + 1}
    if run.dense is not None:
        lengths[DENSE_TIME] = len(run.dense[0])
    tables = {axis: [axis] for axis in lengths}
    for path in reader.growing():
        if path not in DIGESTS.values():
            tables[_axis_of(path)].append(path)
    parts = []
    for axis, rows in lengths.items():
        for path in (*tables[axis], DIGESTS[axis]):
            if reader.shape(path)[0] < rows:
                raise reader.fault(path, f"{rows} rows, as many as in {axis}", str(reader.shape(path)[0]))
        found = row_digests({path: reader.array(path, rows) for path in tables[axis]})
        bad = np.flatnonzero((found != reader.array(DIGESTS[axis], rows)).any(axis=1))
        first = f"{axis} = {reader.array(axis, rows)[bad[0]]:g} s: its SHA-256 is another" if len(bad) else ""
        parts.append(Compared(rows, len(bad), fault=first))
    return verdict("rows", parts, "none")


def _axis_of(path: str) -> str:
    """Along which axis an array grows."""
    if path.startswith("plant/dense/"):
        return DENSE_TIME
    return TIME if path in ("plant/state", "plant/output") else SAMPLE
