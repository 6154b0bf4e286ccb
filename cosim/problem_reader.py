"""The MPC problem of a logged controller, and what it knew and found at each sample, read back from a log.

The counterpart of `agent_models.py` and of the records of the MPC blocks. A file from elsewhere may say anything, so
every shape is compared with what the others imply before an array is made after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.cosim.agent_models import ARRAYS, COUPLINGS
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.trace import ControllerTrace
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.messages import one_line
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import copies_held
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.value import agent_data

# Name and shape of arrays that stand one after the other.
Parts = list[tuple[str, tuple[int, ...]]]


def read_problem(reader: LogReader, name: str) -> MPCProblem:
    """The problem that controller `name` solved.

    Blocks without entries are not in a log: a neighbour that only such a block names is no neighbour here.

    Raises
    ------
    LogError
        There is no such problem in the log, or what stands there is none.
    """
    group = f"controller/{name}/model"
    about, agents = reader.attributes(group) if reader.groups(group) else {}, reader.groups(group)
    try:
        numbered = sorted(agents, key=lambda agent: int(reader.attributes(f"{group}/{agent}")["number"]))
        models = tuple(_read_model(reader, f"{group}/{agent}") for agent in numbered)
        return MPCProblem(models, about["horizon"], about["discount"], tuple(numbered))
    except (ModelError, KeyError) as error:
        raise reader.fault(group, "an MPC problem", one_line(error) or "none") from error


def _read_model(reader: LogReader, group: str) -> LocalModel:
    about, own = reader.attributes(group), reader.names(group)
    given: dict[str, Any] = {name: reader.array(f"{group}/{name}") for name in ARRAYS if name in own}
    # what has no entries is not in the log: its shape follows from the others
    n, m = len(given.get("A", ())), len(given.get("R", ()))
    shapes = {"A": (n, n), "B": (n, m), "Q": (n, n), "R": (m, m)}
    given = {name: np.zeros(shape) for name, shape in shapes.items()} | given
    couplings: dict[str, Any] = {name: dict(_by_neighbour(reader, group, name)) for name in (*COUPLINGS, "declared")}
    declared = {j: tuple(columns.tolist()) for j, columns in couplings.pop("declared").items()}
    return LocalModel(
        **given,
        **couplings,
        declared=declared,
        V0=about["V0"],
        terminal_equality=bool(about["terminal_equality"]),
    )


def _by_neighbour(reader: LogReader, group: str, name: str) -> Mapping[int, Any]:
    found = (path.split("/") for path in reader.names(group) if path.startswith(f"{name}/"))
    return {int(j): reader.array(f"{group}/{name}/{j}") for _, j in found if j.isdecimal()}


@dataclass(frozen=True, eq=False)
class LoggedProblem:
    """The problem of a logged controller, and how its rows read.

    Attributes
    ----------
    problem
        From :func:`read_problem`.
    inputs
        For each agent the columns of the controller's outputs that are its inputs.
    """

    problem: MPCProblem
    inputs: tuple[Index, ...]
    _rows: Mapping[str, Array]
    _columns: tuple[Mapping[str, Index], ...]

    @classmethod
    def of(cls, reader: LogReader, trace: ControllerTrace) -> Self:
        """Of one controller.

        Raises
        ------
        LogError
            It has no problem in the log, or its records do not fit the problem.
        """
        problem = read_problem(reader, trace.name)
        columns = tuple(
            _columns(reader, trace, f"controller/{trace.name}/model/{agent}", model)
            for agent, model in zip(problem.names, problem.models, strict=True)
        )
        names = [f"{field}/{agent}" for field in ("plan", "dual", "data") for agent in problem.names]
        rows = {name: trace[name] for name in (*names, "previous_input") if name in trace.fields}
        rows.setdefault("previous_input", np.zeros((len(trace.input), 0)))
        logged = cls(problem, tuple(own["input"] for own in columns), rows | {"input": trace.input}, columns)
        logged._require_widths(reader, f"controller/{trace.name}", len(trace.output_names))
        return logged

    def data(self, k: int) -> tuple[AgentData, ...]:
        """What the agents knew at row k."""
        now, before = self._rows["input"][k], self._rows["previous_input"][k]
        known = [{kind: now[index] for kind, index in own.items() if kind != "input"} for own in self._columns]
        for i, name in enumerate(self.problem.names):
            if f"data/{name}" in self._rows:
                known[i] |= _cut(self._rows[f"data/{name}"][k], self.parts("data", i))
        return agent_data(
            self.problem,
            [own["state"] for own in known],
            [own["disturbance"] for own in known],
            [own["x_setpoint"] for own in known],
            [own["u_setpoint"] for own in known],
            [before[index] for index in self.inputs],
        )

    def plans(self, k: int) -> tuple[Plan, ...]:
        """The plans of row k."""
        found = []
        for i, name in enumerate(self.problem.names):
            parts = self.parts("plan", i)
            own = _cut(self._rows[f"plan/{name}"][k], parts)
            copies = {copy.owner: own.pop(f"copy {copy.owner}") for copy in copies_held(self.problem, i)}
            found.append(Plan(**own, neighbours=copies))
        return tuple(found)

    def duals(self, k: int) -> tuple[Duals, ...]:
        """The multipliers of row k."""
        names = enumerate(self.problem.names)
        return tuple(Duals(**_cut(self._rows[f"dual/{name}"][k], self.parts("dual", i))) for i, name in names)

    def parts(self, field: str, i: int) -> Parts:
        """Name and shape of what stands one after the other in a row of agent i's "plan", "dual" or "data"."""
        model, N = self.problem.models[i], self.problem.horizon
        states, inputs, rows = (N + 1, model.n), (N, model.m), (N, len(model.lower))
        if field == "data":
            return [("disturbance", (N, model.d)), ("x_setpoint", states), ("u_setpoint", inputs)]
        if field == "plan":
            own: Parts = [("x", states), ("u", inputs), ("sigma", rows)]
            held = copies_held(self.problem, i)
            return own + [(f"copy {copy.owner}", (N + 1, self.problem.models[copy.owner].n)) for copy in held]
        bounds: Parts = [(name, rows) for name in ("lower", "upper", "slack")]
        bounds += [(name, inputs) for name in ("u_min", "u_max", "du_min", "du_max")]
        return [("dynamics", (N, model.n)), ("terminal", (model.n,)), *bounds]

    def _require_widths(self, reader: LogReader, group: str, inputs: int) -> None:
        if self._rows["previous_input"].shape[1:] != (inputs,):
            found = str(self._rows["previous_input"].shape[1:])
            raise reader.fault(f"{group}/previous_input", f"{inputs} numbers a row", found)
        for i, agent in enumerate(self.problem.names):
            for field in ("plan", "dual", "data"):
                width = sum(int(np.prod(shape, dtype=object)) for _, shape in self.parts(field, i))
                rows = self._rows.get(f"{field}/{agent}")
                if rows is None and (field == "data" or not width):
                    continue
                if rows is None or rows.shape[1:] != (width,):
                    found = "nothing" if rows is None else str(rows.shape[1:])
                    raise reader.fault(f"{group}/{field}/{agent}", f"{width} numbers a row", found)


def _columns(reader: LogReader, trace: ControllerTrace, group: str, model: LocalModel) -> dict[str, Index]:
    """Where in the controller's row of measurements an agent's signals stand, and its inputs in that of outputs."""
    names = {
        kind: reader.labels(f"{group}/{kind}") if size else ()
        for kind, size in (("state", model.n), ("input", model.m), ("disturbance", model.d))
    }
    wanted = {
        "state": (names["state"], trace.input_names),
        "disturbance": (names["disturbance"], trace.input_names),
        "x_setpoint": (tuple(f"{name}_ref" for name in names["state"]), trace.input_names),
        "u_setpoint": (tuple(f"{name}_ref" for name in names["input"]), trace.input_names),
        "input": (names["input"], trace.output_names),
    }
    columns = {}
    for kind, (own, known) in wanted.items():
        missing = [name for name in own if name not in known]
        if missing:
            raise reader.fault(group, f"signals of {trace.name}", f"{missing[0]!r}")
        columns[kind] = np.array([known.index(name) for name in own], dtype=np.intp)
    return columns


def _cut(row: Array, parts: Parts) -> dict[str, Array]:
    """Arrays of these shapes out of one row."""
    found, start = {}, 0
    for name, shape in parts:
        size = int(np.prod(shape))
        found[name] = row[start : start + size].reshape(shape)
        start += size
    return found
