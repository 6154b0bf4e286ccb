"""A controller as a discrete `control.NonlinearIOSystem`, for loops that are closed in python-control.

python-control asks an output function some six times a sample, at first with a fictitious input of zeros in place of
what is connected, and as often as it likes. So the system is pure: x+ = f(x, u), y = h(x, u), where x holds all that
the policy depends on (the last output; the last plan and how old it is, for a solve that fails), agents start cold, and
nothing is learned (`pure_policy.py`). Answers are kept by the exact numbers that were asked about, so that a question
costs one solve however often it is put; and what is fictitious one for each value of the inputs from outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import control as ct
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.pure_policy import Kept, PurePolicy
from dmpcrl_ctrl.errors import ModelError, SimulationError, WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.model import LocalModel

# questions whose answers are kept: a sample asks two
_ANSWERS, _POLICIES = 64, 16


class AsIOSystem:
    """A controller that can be connected in python-control."""

    def to_iosystem(
        self,
        *,
        inputs: Sequence[str] | None = None,
        constants: Mapping[str, float] | None = None,
        name: str | None = None,
        foreign_params: Sequence[str] = (),
        seed: int = 0,
    ) -> "ControllerSystem":
        """This controller as a discrete `control.NonlinearIOSystem`, for `interconnect` and `input_output_response`.

        Its `dt` is the sample time, its signals have the names of `inputs` and `outputs`. It solves once a sample,
        whatever the number of evaluations, and once more for each value that inputs from outside take, since
        python-control begins with zeros for what is connected; each sample anew where the model limits `du_max` or a
        scenario MPC draws its noise anew. Agents start cold at every sample. An output is sent as it was computed: the
        plant has no actuator that clips it.

        Parameters
        ----------
        inputs
            Signals that stay inputs, in the order of the controller's; None: all but the `constants`.
        constants
            Signal -> value of what is no input: disturbances and set points "<signal>_ref". Where `inputs` leaves one
            out that has no value here, a disturbance is 0, and a set point that of the model.
        name
            Of the system; None: the controller's.
        foreign_params
            Names of parameters of other systems, since an interconnection hands all parameters to all.
        seed
            Of the run whose noise a scenario MPC draws; others draw nothing.

        Returns
        -------
        control.NonlinearIOSystem
            `params` at a call may hold constants by their names, and "<agent>/<field>" of the agents' models, or
            "<agent>/A_ij/<neighbour>": the controller is then the one that is built with these numbers.

        Raises
        ------
        WiringError
            An offset, a delay or a preview; a signal that the controller does not measure, or cannot do without; at a
            call an unknown parameter.
        SimulationError
            At a call: an input that is not finite, with its name, step and time.

        Examples
        --------
        >>> import control as ct
        >>> from dmpcrl_ctrl.controllers import CentralizedMPC, LocalModel, MPCProblem
        >>> model = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]], u_min=[-0.5], u_max=[0.5])
        >>> mpc = CentralizedMPC(MPCProblem((model,), horizon=5, names=("cart",)), sample_time=1.0)
        >>> mpc.inputs, mpc.outputs
        (('x0_0', 'x0_0_ref', 'u0_0_ref'), ('u0_0',))
        >>> plant = ct.ss(1.0, 1.0, 1.0, 0.0, 1.0, inputs="u0_0", outputs="x0_0", name="cart")
        >>> loop = ct.interconnect([plant, mpc.to_iosystem(inputs=["x0_0"])], inputs=[], outputs=["x0_0", "u0_0"])
        >>> found = ct.input_output_response(loop, np.arange(3.0), X0=[1.0, *[0.0] * (loop.nstates - 1)])
        >>> found.outputs.round(3).tolist()
        [[1.0, 0.5, 0.191], [-0.5, -0.309, -0.118]]
        """
        return ControllerSystem(
            self, inputs=inputs, constants=constants, name=name, foreign_params=tuple(foreign_params), seed=seed
        )


class ControllerSystem(ct.NonlinearIOSystem):
    """A controller in python-control.

    Parameters
    ----------
    controller
        An MPC block, an LQR or a scenario MPC.
    inputs, constants, name, foreign_params, seed
        As for :meth:`AsIOSystem.to_iosystem`.

    Attributes
    ----------
    solves
        How many optimisation problems were solved so far.
    """

    def __init__(
        self,
        controller: Any,
        *,
        inputs: Sequence[str] | None = None,
        constants: Mapping[str, float] | None = None,
        name: str | None = None,
        foreign_params: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        for what in ("offset", "delay", "preview"):
            value = getattr(controller, what, 0)
            if value:
                raise WiringError(
                    f"{controller.name}: its {what} is {value}, which a system of python-control has no place for: "
                    "build the controller without it, or close the loop with dmpcrl_ctrl.cosim.simulate"
                )
        kept = _constants(controller, inputs, constants or {})
        self.controller = controller
        self.solves, self._seed = 0, seed
        self._foreign = frozenset(foreign_params)
        self._again: dict[str, Any] = {
            "inputs": inputs,
            "constants": constants,
            "foreign_params": foreign_params,
            "seed": seed,
        }
        self._free = np.array([k for k, signal in enumerate(controller.inputs) if signal not in kept], dtype=np.intp)
        self._fields = _fields(controller)
        self._policies: Kept[PurePolicy] = Kept(_POLICIES)
        self._answers: Kept[tuple[Array, Array]] = Kept(_ANSWERS)
        layout = PurePolicy(controller, self._count, seed)
        super().__init__(
            self._update,
            self._output,
            params=kept,
            inputs=[controller.inputs[k] for k in self._free],
            outputs=list(controller.outputs),
            states=layout.state_names,
            name=controller.name if name is None else name,
            dt=SampleTime(controller.sample_time),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "ControllerSystem":
        """What python-control does to a system that is connected twice; workspaces of solvers cannot be copied."""
        return ControllerSystem(self.controller, name=self.name, **self._again)

    def _update(self, t: float, x: Array, u: Array, params: Mapping[str, Any]) -> Array:
        return self._answer(t, x, u, params)[0]

    def _output(self, t: float, x: Array, u: Array, params: Mapping[str, Any]) -> Array:
        return self._answer(t, x, u, params)[1]

    def _answer(self, t: float, x: Array, u: Array, params: Mapping[str, Any]) -> tuple[Array, Array]:
        """The next state and the output; adding 0.0 makes no difference between the two zeros."""
        state, measured = np.array(x, dtype=np.float64) + 0.0, np.array(u, dtype=np.float64) + 0.0
        for what, values, names in (("input", measured, self.input_labels), ("state", state, self.state_labels)):
            for k in np.flatnonzero(~np.isfinite(values)):
                step = round(float(t) / float(self.dt))
                raise SimulationError(
                    f"{self.name}: step {step} (t = {float(t):.9g} s): {what} {names[k]!r} is {values[k]}, "
                    "expected a finite number"
                )
        measurement, key = np.zeros(len(self.controller.inputs)), []
        measurement[self._free] = measured
        changes: dict[str, Any] = {}
        for name, value in {**self.params, **params}.items():
            if name in self.params:
                measurement[self.controller.inputs.index(name)] = _number(f"{self.name}: parameter {name!r}", value)
            elif name in self._fields:
                changes[name] = _numbers(f"{self.name}: parameter {name!r}", value)
                key.append((name, changes[name].shape, changes[name].tobytes()))
            elif name not in self._foreign:
                raise WiringError(unknown(name, [*self.params, *self._fields], f"{self.name}: parameter"))
        chosen = tuple(sorted(key))
        policy = self._policies.get(chosen, lambda: PurePolicy(self._changed(changes), self._count, self._seed))
        question = (chosen, state.tobytes(), measurement.tobytes())
        return self._answers.get(question, lambda: policy.step(state, measurement))

    def _changed(self, changes: Mapping[str, Any]) -> Any:
        if not changes:
            return self.controller
        problem = _problem(self.controller)
        by_agent: dict[int, dict[str | tuple[str, int], Any]] = {}
        for name, value in changes.items():
            agent, field = self._fields[name]
            by_agent.setdefault(agent, {})[field] = value
        models = list(problem.models)
        for agent, moved in by_agent.items():
            try:
                models[agent] = models[agent].moved(moved)
            except ModelError as error:
                raise ModelError(f"{self.name}: parameters of {problem.names[agent]}: {error}") from error
        return self.controller.with_problem(replace(problem, models=tuple(models)))

    def _count(self) -> None:
        self.solves += 1


class SampleTime(float):
    """Seconds between samples; where python-control compares them with another timebase, they say what to do instead.

    It does so by `numpy.isclose`, which this class takes part in by NumPy's own protocol.

    Examples
    --------
    >>> SampleTime(0.5) == 0.5, bool(np.isclose(SampleTime(0.5), 0.5))
    (True, True)
    """

    def __array_function__(
        self, function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """NumPy's functions take it for a float; comparing what does not go together raises WiringError."""
        plain = _plain(args)
        found = function(*plain, **{key: _plain(value) for key, value in kwargs.items()})
        if function is np.isclose and len(plain) == 2 and not np.all(found):
            other = plain[0] if args[1] is self else plain[1]
            theirs = "continuous time" if other == 0 else f"steps of {other} s"
            raise WiringError(
                f"incompatible timebases: the controller has steps of {float(self)} s, the other side {theirs}. "
                "Discretise the plant at the controller's sample time (control.sample_system(system, "
                f"{float(self)}, 'zoh')), or close the loop with dmpcrl_ctrl.cosim.simulate, which moves a continuous "
                "plant exactly and knows several sample times"
            )
        return found


def _plain(value: Any) -> Any:
    """Sample times in it, also within lists, as the floats they are: NumPy would ask about them for ever."""
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry) for entry in value)
    return float(value) if isinstance(value, SampleTime) else value


def _constants(controller: Any, inputs: Sequence[str] | None, constants: Mapping[str, float]) -> dict[str, float]:
    """Signal -> value of what is no input."""
    known, states, name = controller.inputs, controller.signals.states, controller.name
    for signal in (*(inputs or ()), *constants):
        if signal not in known:
            raise WiringError(unknown(signal, known, f"{name}: input"))
        if signal in constants and signal in (inputs or ()):
            raise WiringError(f"{name}: {signal!r} is named as an input and as a constant: it can be one of them")
    left_out = [s for s in known if s in constants or (inputs is not None and s not in inputs)]
    for signal in left_out:
        if signal in states:
            raise WiringError(f"{name}: {signal!r} is a state that the controller has to measure: it must be an input")
    usual = _usual(controller)
    return {
        signal: _number(f"{name}: constant {signal!r}", constants[signal]) if signal in constants else usual[signal]
        for signal in left_out
    }


def _problem(controller: Any) -> Any:
    """The models of a controller by their agents; None of a scenario MPC, which has many."""
    return getattr(controller, "problem", None) or getattr(controller, "regulated", None)


def _usual(controller: Any) -> dict[str, float]:
    """Signal -> what it is where nobody says it: no disturbance, and the set points of the models."""
    signals, found = controller.signals, dict.fromkeys(controller.inputs, 0.0)
    problem = controller.scenarios.problems[0] if hasattr(controller, "scenarios") else _problem(controller)
    for names, index, field in (
        (signals.states, signals.state_index, "x_setpoint"),
        (signals.inputs, signals.input_index, "u_setpoint"),
    ):
        for own, model in zip(index, problem.models, strict=True):
            found |= {f"{names[k]}_ref": float(v) for k, v in zip(own, getattr(model, field), strict=True)}
    return found


def _fields(controller: Any) -> dict[str, tuple[int, str | tuple[str, int]]]:
    """Parameter "<agent>/<field>" or "<agent>/<field>/<neighbour>" -> number of the agent, and what to change."""
    found: dict[str, tuple[int, str | tuple[str, int]]] = {}
    problem = _problem(controller)
    for i, model in enumerate(problem.models if problem is not None else ()):
        for field in LocalModel.__dataclass_fields__:
            value, prefix = getattr(model, field), f"{problem.names[i]}/{field}"
            if field in ("terminal_equality", "declared"):
                continue
            if isinstance(value, Mapping):
                found |= {f"{prefix}/{problem.names[j]}": (i, (field, j)) for j in value}
            else:
                found[prefix] = (i, field)
    return found


def _number(what: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, (bool, str)) or not np.isfinite(number):
        raise WiringError(f"{what} must be a finite number, got {value!r}")
    return number


def _numbers(what: str, value: Any) -> Array:
    try:
        given = np.asarray(value)
        if given.dtype.kind in "biuf":
            return np.array(given, dtype=np.float64)
    except ValueError:  # rows of different lengths
        pass
    raise WiringError(f"{what} must be an array of real numbers, got {' '.join(repr(value).split())[:80]}")
