"""The index in a campaign's folder: which runs are finished, and a fingerprint of the job behind each.

A run is finished where the index says so, its job is still the same, and its log is there. Between two writings of the
index a journal beside it has a line for every run, so that a campaign that is killed has lost no finished one. What a
job does is told by the names of its functions and their arguments; a change of their code goes unnoticed, one of this
package's version does not.
"""

import hashlib
import json
import pickle
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.errors import CampaignError, LogError
from dmpcrl_ctrl.validation.runner import write_whole

if TYPE_CHECKING:
    from dmpcrl_ctrl.validation.campaign import Job, RunResult

INDEX, JOURNAL = "campaign.json", "campaign.jsonl"
_FORMAT = "dmpcrl_ctrl campaign 1"
_UNFINISHED = "did not finish"
_SECONDS_BETWEEN_SAVES = 1.0
# where an object lies in memory, which its default text tells
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class CampaignIndex:
    """What is known of the runs in a folder; without a folder nothing is kept.

    Parameters
    ----------
    folder
        Of the logs, or None.
    runs
        Name -> what the index holds of it.
    """

    def __init__(self, folder: Path | None, runs: dict[str, dict[str, Any]]) -> None:
        self.folder, self._runs = folder, runs
        self._saved, self._changed = time.monotonic(), True

    @classmethod
    def of(cls, folder: Path | None, jobs: "Sequence[Job]", overwrite: bool, make: bool = True) -> "CampaignIndex":
        """The index of a folder, which is made where it is not there, unless it is only to be looked at.

        Raises
        ------
        CampaignError
            The folder is none, its index is none, or it holds runs of other jobs (unless they are to be overwritten).
        """
        if folder is None:
            return cls(None, {})
        if folder.exists() and not folder.is_dir():
            raise CampaignError(f"{folder} is a file: give a folder for the campaign")
        runs = _read(folder / INDEX) | _journal(folder / JOURNAL)
        for job in jobs:
            log = folder / f"{job.name}.h5"
            if job.name in runs:
                if runs[job.name].get("fingerprint") == fingerprint(job):
                    continue
                if not overwrite:
                    raise CampaignError(f"{log} belongs to another job; give another folder, or overwrite=True")
                del runs[job.name]
            elif log.exists() and not overwrite:
                raise CampaignError(f"{log} is not of this campaign; give another folder, or overwrite=True")
        if not make:
            return cls(None, runs)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LogError(f"{folder} cannot be written: {error.strerror or error}") from error
        # what runs from here on is of this campaign, also where it is interrupted
        runs |= {
            job.name: {"fingerprint": fingerprint(job), "error": _UNFINISHED} for job in jobs if job.name not in runs
        }
        index = cls(folder, runs)
        index.save()
        return index

    def finished(self, jobs: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Arguments of `RunResult` by name, of those of the jobs that need not run again."""
        found = {}
        for name in jobs:
            kept = self._runs.get(name, {})
            if self.folder is not None and kept.get("error") == "" and (self.folder / f"{name}.h5").exists():
                found[name] = {key: value for key, value in kept.items() if key != "fingerprint"}
                found[name]["log"] = self.folder / f"{name}.h5"
        return found

    def keep(self, job: "Job", result: "RunResult") -> None:
        """Add a run: to the journal at once, where it outlives this process; the index follows in a second or so."""
        plain = {**asdict(result), "log": None if result.log is None else result.log.name}
        plain["cost"] = result.cost if result.ok else None
        self._runs[job.name] = {"fingerprint": fingerprint(job) if self.folder else "", **plain}
        self._changed = True
        if self.folder is not None:
            _append(self.folder / JOURNAL, {job.name: self._runs[job.name]})
        if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
            self.save()

    def save(self) -> None:
        """Write the file as a whole."""
        if self.folder is None or not self._changed:
            return
        content = {"format": _FORMAT, "dmpcrl_ctrl": __version__, "runs": dict(sorted(self._runs.items()))}
        write_whole(self.folder / INDEX, json.dumps(content, indent=1, allow_nan=False) + "\n")
        (self.folder / JOURNAL).unlink(missing_ok=True)
        self._saved, self._changed = time.monotonic(), False


def runs_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Arguments of `RunResult` by name, of all runs that came to an end, well or not."""
    found = {}
    for name, kept in (_read(folder / INDEX) | _journal(folder / JOURNAL)).items():
        if kept.get("error") != _UNFINISHED:
            found[name] = {key: value for key, value in kept.items() if key != "fingerprint"}
            found[name] |= {
                "cost": float("nan") if kept.get("cost") is None else kept["cost"],
                "log": None if kept.get("log") is None else folder / Path(kept["log"]).name,
            }
    return found


def require_that_jobs_travel(jobs: "Iterable[Job]") -> None:
    """Raise CampaignError where a job cannot be pickled, and so cannot be sent to another process."""
    for job in jobs:
        try:
            pickle.dumps(job)
        except (pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
            raise CampaignError(
                f"{job.name} cannot be sent to a process ({error}): make its plant and its controller by functions of "
                "a module, or functools.partial of such; or give an executor of threads"
            ) from error


def fingerprint(job: "Job") -> str:
    """SHA-256 in hexadecimal digits of what a job does."""
    told = {field.name: _told(getattr(job, field.name)) for field in fields(job)}
    return hashlib.sha256(json.dumps([__version__, told], sort_keys=True).encode()).hexdigest()


def _told(value: Any) -> Any:
    """What a value is, as a tree that is the same in every process."""
    match value:
        case None | bool() | int() | float() | str():
            return repr(value)
        case partial():
            return ["partial", _told(value.func), _told(value.args), _told(value.keywords)]
        case np.ndarray() | np.generic():
            array = np.asarray(value)
            return [array.dtype.str, array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]
        case Mapping():
            return {str(key): _told(item) for key, item in value.items()}
        case tuple() | list():
            return [_told(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, {f.name: _told(getattr(value, f.name)) for f in fields(value)}]
    if hasattr(value, "__qualname__"):
        owner = getattr(value, "__self__", None)
        return [value.__module__, value.__qualname__, _told(owner) if owner is not None else ""]
    return [type(value).__qualname__, _ADDRESS.sub("", repr(value))]


def _append(path: Path, run: dict[str, Any]) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(run, allow_nan=False) + "\n")
    except OSError as error:
        raise LogError(f"{path} cannot be written: {error.strerror or error}") from error


def _journal(path: Path) -> dict[str, dict[str, Any]]:
    """Runs that finished after the index was last written; a line that was cut off by a kill is none."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return found
    except OSError as error:
        raise CampaignError(f"{path} cannot be read: {error}") from error
    for line in lines:
        try:
            run = json.loads(line)
        except ValueError:
            continue
        if isinstance(run, dict) and all(isinstance(kept, dict) for kept in run.values()):
            found |= run
    return found


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path} cannot be read: {error}") from error
    runs = content.get("runs") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    if not isinstance(runs, dict) or not all(isinstance(run, dict) for run in runs.values()):
        raise CampaignError(f"{path} is no index of a campaign: it does not begin with format {_FORMAT!r}")
    return runs
