"""A plant: a python-control system with named signals, agents, limits, a cost, and what acts on it from outside."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import control as ct
import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.plants.disturbance import Source
from dmpcrl_ctrl.plants.dynamics import Dynamics
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.exogenous import Exogenous, surroundings
from dmpcrl_ctrl.plants.indices import PerformanceIndex
from dmpcrl_ctrl.plants.local_models import LocalModels, MPCOptions, build_local_models
from dmpcrl_ctrl.plants.partition import Agent, make_partition, split_signals
from dmpcrl_ctrl.plants.prediction import AffineModel, AgentDynamics, agent_dynamics, whole
from dmpcrl_ctrl.plants.prediction import operating_point as operating_point_of
from dmpcrl_ctrl.plants.signals import Named, limits, plant_name, prices, rates, vector, weight
from dmpcrl_ctrl.plants.systems import accepted, dynamics_of, output_structure, with_same_signals
from dmpcrl_ctrl.plants.task import Task

StageCost = Callable[[Array, Array, Array, Array], Array]


class Plant:
    """A python-control system as the rest of this package sees it; nothing in it changes after construction.

    Parameters
    ----------
    system
        `control.StateSpace` (continuous, or discrete with its `dt`), `NonlinearIOSystem`, what `interconnect` returns.
        Signal names are the system's labels.
    agents
        The partition; None: one agent an input, by the sparsity of A and B (:func:`partition.owners`).
    name
        Default: the system's name, or "plant" where python-control only numbered it.
    disturbances
        System input -> source, number, or None (nothing acts yet); the other inputs are control inputs.
    input_limits, state_limits
        Signal -> (low, high). Inputs are saturated; what leaving a state limit costs says `violation_weight`.
    rate_limits
        Control input -> largest change per second, for the MPC models.
    initial_state
        Vector, or mapping state -> value (others 0); default: the operating point's, or 0.
    setpoints
        State or control input -> source or number; default: the operating point's value, or 0.
    setpoint_gain
        (n + m, nd): set points of states and inputs = `setpoints` + gain @ measured disturbances.
    Q, R
        Weights of states and inputs: matrix, vector (diagonal) or mapping name -> weight (others 0); default identity.
    violation_weight
        Price per unit by which a state leaves its limits: one number, or a mapping state -> price.
    operating_point
        (x, u) or (x, u, d) at which a nonlinear system is linearised.
    prediction
        System with the same signals that `local_models` describes instead (an inexact model, or a discrete one).
    indices
        Name -> function of a :class:`Trajectory`: performance numbers.
    extra_stage_cost
        (x, u, setpoint, d) -> (M,), added to the stage cost of the agents; MPC models do not contain it.
    units
        Signal -> unit, for logs and plots.
    integrator
        Keywords of `scipy.integrate.solve_ivp`, for a nonlinear system (method, rtol, atol, max_step ...).

    Attributes
    ----------
    agents : tuple of Agent
        With disturbances and neighbours filled in.
    state_names, input_names, disturbance_names, output_names, setpoint_names : tuple of str
        `input_names` are the control inputs; set points are "<signal>_ref", states first.
    measured_names : tuple of str
        Disturbances of which controllers are told something.
    state_index, input_index : tuple of index arrays
        Each agent's positions in x and u.
    sample_time : Fraction or None
        Seconds; None: continuous.
    task : Task
        Limits and weights.
    state_of_output : tuple of int or None
        Which state an output is, or None.
    feedthrough : (ny, m) bool
        Which control inputs act on which outputs at once.
    clock_times : tuple of Fraction
        Seconds that a clock has to hit: the plant's own sample time, and its signals' edges and sample times.

    Raises
    ------
    PlantError
        Naming the signal or agent: no time base, a NaN, an unknown or doubled name, a wrong shape.

    Examples
    --------
    >>> system = ct.ss([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], np.eye(2), 0, states=["p", "v"], inputs=["F"])
    >>> cart = Plant(system, name="cart", input_limits={"F": (-1.0, 1.0)}, initial_state={"p": 1.0})
    >>> cart.advance(cart.initial_state, 2.0, np.array([-0.5]))
    array([ 0., -1.])
    """

    def __init__(
        self,
        system: ct.InputOutputSystem,
        agents: Sequence[Agent] | None = None,
        *,
        name: str | None = None,
        disturbances: Mapping[str, Source | float | None] | None = None,
        input_limits: Mapping[str, tuple[float, float]] | None = None,
        state_limits: Mapping[str, tuple[float, float]] | None = None,
        rate_limits: Mapping[str, float] | None = None,
        initial_state: Named | None = None,
        setpoints: Mapping[str, Source | float] | None = None,
        setpoint_gain: ArrayLike | None = None,
        Q: Named | None = None,
        R: Named | None = None,
        violation_weight: float | Named = 0.0,
        operating_point: Sequence[Named] | None = None,
        prediction: ct.InputOutputSystem | None = None,
        indices: Mapping[str, PerformanceIndex] | None = None,
        extra_stage_cost: StageCost | None = None,
        units: Mapping[str, str] | None = None,
        integrator: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = plant_name(system, name)
        self.system = accepted(system, self.name)
        acting = dict(disturbances or {})
        self._names, self._inputs, self.output_names = split_signals(self.system, acting, self.name)
        names = self._names
        self.task = Task(
            Q=weight(Q, names.states, f"{self.name}: Q"),
            R=weight(R, names.inputs, f"{self.name}: R"),
            violation_weight=prices(violation_weight, names.states, f"{self.name}: violation_weight"),
            state_limits=limits(state_limits, names.states, f"{self.name}: state_limits"),
            input_limits=limits(input_limits, names.inputs, f"{self.name}: input_limits"),
            rate_limits=rates(rate_limits, names.inputs, f"{self.name}: rate_limits"),
        )
        point = operating_point_of(operating_point, None if self.linear else initial_state, names, self.name)
        start = point.state if initial_state is None else initial_state
        self.initial_state = vector(start, names.states, f"{self.name}: initial_state")
        rest = np.zeros(len(names.steered)) if operating_point is None else np.concatenate([point.state, point.input])
        self._surroundings = surroundings(names, acting, setpoints or {}, rest, setpoint_gain, self.name)
        self._owners: dict[int, str] = {}
        self._dynamics = dynamics_of(self.system, self.name, integrator or {}, self._describe)
        self._predicted = self._dynamics if prediction is None else self._dynamics_of_prediction(prediction)
        self._model = AffineModel.around(self._predicted, point, self._inputs)
        self._partition = make_partition(agents, names, self._model.A, self._model.B, self._model.E, self.name)
        self._outputs = output_structure(
            self._dynamics, point.state, self._inputs.merged(point.input, point.disturbance)
        )
        self.indices = dict(indices or {})
        self.extra_stage_cost = extra_stage_cost
        self.units = dict(units or {})
        self._publish()

    def _publish(self) -> None:
        """Set the attributes that hand on what the parts know."""
        names, partition, outputs = self._names, self._partition, self._outputs
        self.state_names, self.input_names, self.disturbance_names = names.states, names.inputs, names.disturbances
        self.setpoint_names = tuple(f"{signal}_ref" for signal in names.steered)
        self.measured_names = self._surroundings.measured_names
        self.input_limits, self.state_limits = self.task.input_limits, self.task.state_limits
        self.agents, self.state_index, self.input_index = partition.agents, partition.state_index, partition.input_index
        for agent, own in zip(self.agents, self.state_index, strict=True):
            self._owners.update(dict.fromkeys(own.tolist(), agent.name))
        self.state_of_output = outputs.state_of_output
        self.feedthrough = outputs.feedthrough[:, self._inputs.control]
        self.sample_time = self._dynamics.sample_time
        own_sample = () if self.sample_time is None else (self.sample_time,)
        self.clock_times = tuple(sorted({*own_sample, *self._surroundings.instants()} - {Fraction(0)}))

    @property
    def has_feedthrough(self) -> bool:
        """Whether any control input acts on any output at once."""
        return bool(self.feedthrough.any())

    @property
    def linear(self) -> bool:
        """Whether the system is linear."""
        return isinstance(self.system, ct.StateSpace)

    def advance(
        self,
        x: Array,
        duration: Fraction | float,
        u: Array,
        d: Array | None = None,
        d_slope: Array | None = None,
        *,
        start: float = 0.0,
    ) -> Array:
        """State after `duration` seconds with the control inputs held; `x` itself is left alone.

        Parameters
        ----------
        x
            (n,).
        duration
            Seconds; of a discrete plant exactly its own sample.
        u
            (m,), held.
        d, d_slope
            (nd,) each: disturbances at the beginning, and their change per second (default 0). A discrete plant takes
            the disturbances at its samples.
        start
            Seconds: when it begins, for systems that depend on time, and for messages.

        Returns
        -------
        ndarray
            (n,): exact for linear systems, to the integrator's tolerance for nonlinear ones.

        Raises
        ------
        PlantError
            An input or the result is not finite; the integration fails.
        """
        span = exact_seconds(duration)
        w = self._merged(u, d, start)
        if span == 0 and self.sample_time is None:
            return np.array(x, dtype=np.float64)
        slope = self._inputs.merged(0.0, 0.0 if d_slope is None else d_slope)
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what overflows is named below
                x1 = self._dynamics.advance(x, span, w, slope, start)
        except PlantError as error:
            raise PlantError(f"{self.name}: {error}") from error
        if not np.isfinite(x1).all():
            k = int(np.flatnonzero(~np.isfinite(x1))[0])
            raise PlantError(f"{self.name}: {self._describe(k)} is {x1[k]} at t = {start + float(span):g} s")
        return x1

    def output(self, x: Array, u_held: Array, d: Array | None = None, *, time: float = 0.0) -> Array:
        """Outputs (ny,) at state `x` (n,), control inputs (m,) held before this instant, and disturbances (nd,)."""
        return self._dynamics.output(x, self._merged(u_held, d, time), time)

    def saturate(self, u: Array) -> Array:
        """(m,): control inputs clipped to their limits."""
        return self.task.saturate(u)

    def violation(self, x: Array) -> Array:
        """(..., n): by how much each state is outside its limits; zero inside."""
        return self.task.violation(x)

    def stage_cost(self, x: Array, u: Array, setpoint: Array, d: Array | None = None) -> Array:
        """Cost of one sample by agent.

        Parameters
        ----------
        x, u
            (n,), (m,): state, and control inputs as applied.
        setpoint
            (n + m,): of states and inputs.
        d
            (nd,): disturbances, for `extra_stage_cost`.

        Returns
        -------
        ndarray
            (M,): each agent's share of |x - xbar|^2_Q + |u - ubar|^2_R + violation_weight' violation, plus the extra
            cost. A weight between two agents is split evenly.
        """
        n = len(self.state_names)
        states, inputs = self.task.state_cost(x, setpoint[:n]), self.task.input_cost(u, setpoint[n:])
        shares = zip(self.state_index, self.input_index, strict=True)
        cost = np.array([states[own].sum() + inputs[held].sum() for own, held in shares])
        if self.extra_stage_cost is None:
            return cost
        told = np.zeros(len(self.disturbance_names)) if d is None else d
        extra = np.asarray(self.extra_stage_cost(x, u, setpoint, told))
        if extra.shape != cost.shape:
            raise PlantError(f"extra_stage_cost has shape {extra.shape}, expected {cost.shape}: one number an agent")
        return cost + extra

    def bind(self, base: int, seed: np.random.SeedSequence) -> Exogenous:
        """Disturbances and set points on a clock of `base` ticks per second; the seed is for their noise."""
        return self._surroundings.bind(base, seed)

    def draw_noise(self, rng: np.random.Generator, size: int) -> Array:
        """(size, nd): independent draws of what is random in the disturbances and not measured; zeros elsewhere."""
        return self._surroundings.draw_noise(rng, size)

    def local_models(
        self, sample_time: float | Fraction, hold: Literal["area", "network"] = "area", **mpc: Any
    ) -> LocalModels:
        """The agents' MPC models over one sample, for the plant or for its `prediction` system.

        Parameters
        ----------
        sample_time
            Seconds; of a discrete plant its own.
        hold
            "area": each agent's own dynamics, with neighbours, load and input held over the sample; keeps the coupling
            graph. Couplings that an agent's given `neighbours` leave out are left out. "network": the exact hold of the
            whole plant, as one agent, because it couples everything with everything.
        **mpc
            As :class:`MPCOptions`: terminal, soft, slack_weight, slack_quadratic, Q, R, discount.

        Raises
        ------
        ModelError
            A sample time that is not the discrete plant's; inputs or weights across agents (hold="area"); no Riccati
            solution; an unknown option.
        """
        if hold not in ("area", "network"):
            raise ModelError(f"{self.name}: hold must be 'area' or 'network', got {hold!r}")
        own = self._predicted.sample_time
        if own is not None and exact_seconds(sample_time) != own:
            raise ModelError(
                f"{self.name}: the model has a sample time of its own, {float(own):g} s; got {sample_time} s: "
                f"give sample_time={float(own):g}"
            )
        options = MPCOptions.of(mpc, self.name)
        partition = self._partition if hold == "area" else whole(self._names, self.name)
        dynamics = agent_dynamics(self._model, partition, float(sample_time) if own is None else None)
        setpoint = self._surroundings.initial_setpoint()
        return build_local_models(dynamics, partition, self.task, setpoint, self._names, float(sample_time), options)

    def agent_rates(self) -> tuple[AgentDynamics, ...]:
        """The differential equations whose hold `local_models(hold="area")` is: per second, one an agent.

        Raises
        ------
        PlantError
            The plant, or its `prediction`, is discrete and has no rates.
        """
        if self._predicted.sample_time is not None:
            raise PlantError(f"{self.name}: a discrete model has no rates; take its matrices for parameters (Free)")
        return agent_dynamics(self._model, self._partition, None)

    def _merged(self, u: Array, d: Array | None, time: float) -> Array:
        """(m + nd,): all inputs of the system, finite."""
        if np.shape(u) != (len(self.input_names),):
            raise PlantError(f"{self.name}: u has shape {np.shape(u)}, expected ({len(self.input_names)},)")
        w = self._inputs.merged(u, 0.0 if d is None else d)
        if not np.isfinite(w).all():
            k = int(np.flatnonzero(~np.isfinite(w))[0])
            raise PlantError(f"{self.name}: input {self.system.input_labels[k]!r} is {w[k]} at t = {time:g} s")
        return w

    def _describe(self, state: int) -> str:
        """What messages call a state; construction may fail before its agent is known."""
        agent = f" of {self._owners[state]}" if state in self._owners else ""
        return f"state {self.state_names[state]!r}{agent}"

    def _dynamics_of_prediction(self, prediction: ct.InputOutputSystem) -> Dynamics:
        what = f"{self.name}: prediction"
        return dynamics_of(with_same_signals(prediction, self.system, what), what, {}, self._describe)
