"""Physical parameters of an agent's differential equation, learned through the exact zero-order hold.

    theta -> [A | B, A_ij, E, b] per second -> hold over one sample -> the agent's prediction model

The hold is that of `Plant.local_models(hold="area")`, and its derivative is exact as well. So a parameter keeps its
meaning, and what is learned about it holds at any sample time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.parametrization import Parametrization, applied_together, initial_together, moved_together
from dmpcrl_ctrl.parts import Field, Fields, Mask, Part, Shared, Theta, field_of, label
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.zoh import zoh, zoh_adjoint

_RATES = ("A", "B", "E", "b")
_AREA_STATES = ["dtheta", "domega", "dPm", "dPv"]


class HeldParameters:
    """A part of a parametrization: parameters that move an agent's rates, and through the hold its prediction model.

    Parameters
    ----------
    rates
        "A", "B", ("A_ij", j), "E", "b" of dx_i/dt = A x_i + B u_i + sum_j A_ij x_j + E d_i + b, per second, at the
        initial theta; see :func:`agent_rates`. What is left out is zero.
    sample_time
        Seconds over which inputs, neighbours' states and disturbances are held.
    parts
        What moves the rates: :class:`~dmpcrl_ctrl.parts.Shared` for parameters that they are affine in,
        :class:`~dmpcrl_ctrl.parts.Free` for entries that are parameters themselves.

    Raises
    ------
    ModelError, PlantError
        A wrong shape, or growth beyond all floats over one sample.

    Examples
    --------
    A mass whose friction d is learned: dv/dt = -d v + u, v(k+1) = exp(-d T) v(k) + ...

    >>> rates = {"A": np.array([[-0.4]]), "B": np.array([[1.0]])}
    >>> friction = HeldParameters(rates, 1.0, [Shared("d", {"A": [[-1.0]]}, start=0.4)])
    >>> bool(np.isclose(friction.applied({"A": np.eye(1), "B": np.eye(1)}, {"d": np.array(0.5)})["A"], np.exp(-0.5)))
    True
    """

    additive: ClassVar[bool] = False

    def __init__(self, rates: Fields, sample_time: float | Fraction, parts: Iterable[Part]) -> None:
        for field in rates:
            if field not in _RATES and field[0] != "A_ij":
                raise ModelError(f"rates are of A, B, A_ij, E and b, got {label(field)!r}")
        n = len(field_of(rates, "A"))
        shapes: dict[Field, tuple[int, ...]] = {"A": (n, n), "b": (n,)}
        self.rates = {f: checked(label(f), rate, shapes.get(f, (n, -1))) for f, rate in rates.items()}
        self.sample_time = float(sample_time)
        self.parts = tuple(parts)

    @cached_property
    def _moved_rates(self) -> list[dict[Field, Mask]]:
        return moved_together(self.parts, self.rates)

    @cached_property
    def _moved(self) -> dict[Field, Mask]:
        """A column of B, A_ij, E or b moves with its own rates, and with A unless it is zero."""
        own = {f: np.zeros(rate.shape, dtype=bool) for f, rate in self.rates.items()}
        for moved in self._moved_rates:
            own |= {field: own[field] | mask for field, mask in moved.items()}
        by_A = own["A"].any()
        columns = {f: mask.any(axis=0) | (by_A & (self.rates[f] != 0.0).any(axis=0)) for f, mask in own.items()}
        columns["A"] = np.full(len(own["A"]), by_A)
        return {f: np.broadcast_to(c, own[f].shape) for f, c in columns.items() if c.any()}

    def moved(self, base: Fields) -> dict[Field, Mask]:
        """Whole columns of the prediction model."""
        for field, mask in self._moved.items():
            if field_of(base, field).shape != mask.shape:
                raise ModelError(f"rates of {label(field)} have shape {mask.shape}, the model has {base[field].shape}")
        return self._moved

    def initial(self, base: Fields) -> dict[str, Array]:
        """The parameters at which the rates are as given."""
        return initial_together(self.parts, self.rates)

    def applied(self, fields: Fields, theta: Theta) -> dict[Field, Array]:
        """The hold of the rates at `theta`."""
        rates = self._rates(theta)
        held = self._split(rates, *zoh(*_stacked(rates), self.sample_time))
        return {f: np.where(mask, held[f], fields[f]) for f, mask in self._moved.items()}

    def pullback(self, theta: Theta, gradient: Fields) -> dict[str, Array]:
        """Adjoint of the hold, then of the parts."""
        rates = self._rates(theta)
        held_bar = {f: gradient.get(f, np.zeros(rate.shape)) for f, rate in rates.items()}
        rates_bar = self._split(rates, *zoh_adjoint(*_stacked(rates), self.sample_time, *_stacked(held_bar)))
        pulled: dict[str, Array] = {}
        for part, moved in zip(self.parts, self._moved_rates, strict=True):
            pulled |= part.pullback(theta, {f: np.where(mask, rates_bar[f], 0.0) for f, mask in moved.items()})
        return pulled

    def _rates(self, theta: Theta) -> dict[Field, Array]:
        return self.rates | applied_together(self.parts, self.rates, theta)

    @staticmethod
    def _split(rates: Fields, A: Array, others: Array) -> dict[Field, Array]:
        """The fields again, from A and the columns beside it."""
        shapes = {f: rate.shape for f, rate in rates.items() if f != "A"}
        ends = np.cumsum([shape[1] if len(shape) == 2 else 1 for shape in shapes.values()])
        parts = np.split(others, ends[:-1], axis=1) if shapes else []
        return {"A": A} | {f: part.reshape(shape) for (f, shape), part in zip(shapes.items(), parts, strict=True)}


def _stacked(fields: Fields) -> tuple[Array, Array]:
    """A, and everything else side by side: what the hold takes for inputs."""
    A = fields["A"]
    others = [array.reshape(len(A), -1) for field, array in fields.items() if field != "A"]
    return A, np.hstack([np.zeros((len(A), 0)), *others])


def agent_rates(plant: Plant) -> tuple[dict[Field, Array], ...]:
    """Rates per second of each agent's own differential equation, for :class:`HeldParameters`, in absolute values.

    Of a nonlinear plant they are those at its operating point, of a plant with a `prediction` those of that.
    `Plant.local_models(hold="area")` is the hold of them.

    Raises
    ------
    PlantError
        The plant, or its prediction, is discrete and has no rates.
    """
    found = []
    for own in plant.agent_rates():
        blocks: dict[Field, Array] = {("A_ij", j): block for j, block in own.A_ij.items()}
        found.append({"A": own.A, "B": own.B, **blocks, "E": own.E, "b": own.b})
    return tuple(found)


def tie_parameters(
    plant: Plant, sample_time: float | Fraction, parts: Sequence[Part] = (), **mpc: Any
) -> tuple[Parametrization, ...]:
    """Parametrizations of a power network's areas, with the stiffness of its ties among the parameters.

    Area i has its own stiffness P_ij of each tie, called "P_ij/<name of area j>", in

        2H domega_i' = dPm_i - dPL_i - D domega_i - sum_j P_ij (dtheta_i - dtheta_j)

    Parameters
    ----------
    plant
        A power network, as :func:`~dmpcrl_ctrl.plants.power.power_network_of` makes it.
    sample_time
        Seconds.
    parts
        What every area has for parameters besides, such as Free("b") or SemidefiniteFactor("Q").
    **mpc
        As for `Plant.local_models`.

    Returns
    -------
    tuple of Parametrization
        One an area. The neighbours' angles are declared, so that a P_ij may pass through zero.

    Raises
    ------
    PlantError
        An agent is no area of a power network.

    Examples
    --------
    >>> from dmpcrl_ctrl.parts import Free
    >>> from dmpcrl_ctrl.plants import power_network
    >>> first, *_ = tie_parameters(power_network(), 1.0, [Free("V0")])
    >>> first.initial
    {'P_ij/area_2': array(4.), 'V0': array(0.)}
    """
    models = plant.local_models(sample_time, **mpc)
    for agent in plant.agents:
        if [state.split("_")[0] for state in agent.states] != _AREA_STATES:
            raise PlantError(
                f"{plant.name}: {agent.name} is no area of a power network: its states are {', '.join(agent.states)}, "
                f"expected {', '.join(_AREA_STATES)} of one area"
            )
    made = []
    for model, rates in zip(models.models, agent_rates(plant), strict=True):
        ties = [_tie(rates, j, models.names[j]) for j in model.A_ij]
        angles = {j: (0, *model.declared.get(j, ())) for j in model.A_ij}
        held = HeldParameters(rates, sample_time, ties)
        made.append(Parametrization(replace(model, declared=angles), [held, *parts]))
    return tuple(made)


def _tie(rates: Fields, j: int, name: str) -> Shared:
    """P_ij, as what it adds to the rates of area i: -P_ij/(2H) on its own angle, P_ij/(2H) on that of area j."""
    own, across = np.zeros((4, 4)), np.zeros((4, 4))
    per_power = rates["A"][1, 2]  # 1/(2H), by which mechanical power accelerates
    own[1, 0], across[1, 0] = -per_power, per_power
    return Shared(f"P_ij/{name}", {"A": own, ("A_ij", j): across}, rates[("A_ij", j)][1, 0] / per_power)
