"""Physical parameters through the hold: against another exponential, complex steps, and networks built anew."""

import math
from dataclasses import replace
from typing import Any

import control as ct
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.signal import cont2discrete

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization, fields_of
from dmpcrl_ctrl.parts import Field, Free, Shared
from dmpcrl_ctrl.plants.chain import chain
from dmpcrl_ctrl.plants.held_parameters import HeldParameters, agent_rates, tie_parameters
from dmpcrl_ctrl.plants.hycon2 import power_network
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.power import PowerArea, Tie, power_network_of

# The columns of A, B, A_ij[1], A_ij[3], E and b, side by side.
COLUMNS: dict[Field, slice | int] = {
    "A": slice(0, 3), "B": slice(3, 5), ("A_ij", 1): slice(5, 6), ("A_ij", 3): slice(6, 8), "E": slice(8, 9), "b": 9,
}  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def fields_in(rows: Array) -> dict[Field, Array]:
    return {field: rows[:, columns] for field, columns in COLUMNS.items()}


def model_with(rows: Array) -> LocalModel:
    A, B, one, three, E, b = fields_in(rows).values()
    return LocalModel(A, B, np.eye(3), np.eye(2), A_ij={1: one, 3: three}, E=E, b=b)


def gradient_with(rows: Array) -> dict[str, Any]:
    A, B, one, three, E, b = fields_in(rows).values()
    return {"A": A, "B": B, "A_ij": {1: one, 3: three}, "E": E, "b": b}


def held_by_scipy(rates: Array, T: float) -> Array:
    Ad, Bd, *_ = cont2discrete((rates[:, :3], rates[:, 3:], np.eye(3), np.zeros((3, 7))), T)
    return np.hstack([Ad, Bd])


def example(seed: int, by_A: bool, T: float) -> tuple[Parametrization, Array, dict[str, Array], Array]:
    """Parameters p (2,) of random rates, and all rates b; rates at the start; theta; d rates / d p, (2, 3, 10)."""
    rng = np.random.default_rng(seed)
    rates, basis = rng.normal(size=(3, 10)), rng.normal(size=(2, 3, 10))
    basis[:, :, 9] = 0.0
    basis[:, :, :3] *= by_A
    shared = Shared("p", {field: basis[:, :, columns] for field, columns in COLUMNS.items()}, [0.3, -1.0])
    held = HeldParameters(fields_in(rates), T, [shared, Free("b")])
    theta = {"p": rng.normal(size=2), "b": rng.normal(size=3)}
    return Parametrization(model_with(held_by_scipy(rates, T)), [held]), rates, theta, basis


def rates_at(rates: Array, theta: dict[str, Array], basis: Array) -> Array:
    moved = rates + np.tensordot(theta["p"] - np.array([0.3, -1.0]), basis, axes=1)
    return np.hstack([moved[:, :9], theta["b"][:, None]])


@settings(max_examples=100)
@given(seeds, st.booleans(), st.floats(0.05, 2.0))
def test_the_model_is_the_hold_of_the_rates(seed: int, by_A: bool, T: float) -> None:
    learned, rates, theta, basis = example(seed, by_A, T)
    for at in (learned.initial, theta):
        expected = held_by_scipy(rates_at(rates, at, basis), T)
        model = learned.model(at)
        found = np.hstack([model.A, model.B, model.A_ij[1], model.A_ij[3], model.E, model.b[:, None]])
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


@settings(max_examples=100)
@given(seeds, st.booleans(), st.floats(0.05, 2.0))
def test_the_pullback_is_what_complex_steps_find(seed: int, by_A: bool, T: float) -> None:
    learned, rates, theta, basis = example(seed, by_A, T)
    weights = np.random.default_rng(seed).normal(size=(3, 10))
    pulled = learned.pullback(theta, gradient_with(weights))
    still = np.zeros((7, 10))
    for name, start in theta.items():
        for k in range(len(start)):
            # A complex step has no error of subtraction, so that it may be as short as one likes.
            step = theta | {name: start + 1e-20j * (np.arange(len(start)) == k)}
            generator = T * np.vstack([rates_at(rates, step, basis), still])
            slope = np.sum(weights * expm(generator)[:3].imag) / 1e-20
            scale = np.exp(np.linalg.norm(generator, 2))
            assert pulled[name][k] == pytest.approx(slope, rel=1e-9, abs=1e-13 * scale)


def test_a_column_that_nothing_moves_is_left_to_others() -> None:
    rates: dict[Field, Array] = {"A": np.eye(2), "B": np.array([[1.0, 0.0], [0.0, 0.0]]), "b": np.zeros(2)}
    base = LocalModel(np.eye(2), np.zeros((2, 2)), np.eye(2), np.eye(2), b=[5.0, 6.0])
    second = np.array([[False, True], [False, True]])
    scale = Shared("scale", {"A": np.eye(2)})
    learned = Parametrization(base, [HeldParameters(rates, 1.0, [scale]), Free("B", mask=second), Free("b")])
    there = learned.model(learned.initial | {"B": [7.0, 8.0]})
    np.testing.assert_allclose(there.B, [[math.e - 1.0, 7.0], [0.0, 8.0]], rtol=1e-15)
    np.testing.assert_array_equal(there.b, [5.0, 6.0])
    with pytest.raises(ModelError, match=r"scale and B both move B\[0, 0\]"):
        Parametrization(base, [HeldParameters(rates, 1.0, [scale]), Free("B")])


def test_what_is_held_has_to_fit() -> None:
    base = LocalModel(np.eye(2), np.zeros((2, 1)), np.eye(2), np.eye(1))
    scale = Shared("scale", {"A": np.eye(2)})
    with pytest.raises(ModelError, match="rates are of A, B, A_ij, E and b, got 'Q'"):
        HeldParameters({"A": np.eye(2), "Q": np.eye(2)}, 1.0, [scale])
    with pytest.raises(ModelError, match=r"B has shape \(3, 1\), expected \(2, any\)"):
        HeldParameters({"A": np.eye(2), "B": np.ones((3, 1))}, 1.0, [scale])
    with pytest.raises(ModelError, match=r"rates of B have shape \(2, 2\), the model has \(2, 1\)"):
        Parametrization(base, [HeldParameters({"A": np.eye(2), "B": np.ones((2, 2))}, 1.0, [scale])])
    with pytest.raises(ModelError, match=r"there is no block A_ij\[4\]"):
        Parametrization(base, [HeldParameters({"A": np.eye(2), ("A_ij", 4): np.eye(2)}, 1.0, [scale])])
    with pytest.raises(PlantError, match="positive, finite number of seconds, got 0"):
        HeldParameters({"A": np.eye(2)}, 0.0, [scale]).applied({"A": np.eye(2)}, {"scale": np.zeros(())})


def pendulums(length: float) -> Plant:
    """Two pendulums on a spring, linearised at a deflection: rates that are not zero at the operating point."""

    def rate(t: float, x: Array, u: Array, params: dict[str, Any]) -> Array:
        pull = 2.0 * (x[2] - x[0])
        return np.array([x[1], -np.sin(x[0]) / length + u[0] + pull, x[3], -np.sin(x[2]) / length + u[1] - pull])

    system = ct.nlsys(rate, inputs=["f", "g"], states=["p", "v", "q", "w"], outputs=4, dt=0, name="pendulums")
    agents = [Agent("left", ("p", "v"), ("f",)), Agent("right", ("q", "w"), ("g",))]
    return Plant(system, agents, operating_point=([0.3, 0.0, 0.1, 0.0], [0.0, 0.0]))


@pytest.mark.parametrize("T", [0.1, 1.0])
def test_the_hold_of_a_plants_rates_gives_its_local_models(T: float) -> None:
    for plant in (power_network(2), pendulums(1.5)):
        for model, rates in zip(plant.local_models(T).models, agent_rates(plant), strict=True):
            learned = Parametrization(model, [HeldParameters(rates, T, [Free("A")])])
            assert rates.keys() <= fields_of(model).keys()
            there, base = fields_of(learned.model(learned.initial)), fields_of(model)
            for field, array in base.items():
                np.testing.assert_array_equal(there[field], array)


def test_a_discrete_plant_has_no_rates() -> None:
    with pytest.raises(PlantError, match="chain: a discrete model has no rates; take its matrices"):
        agent_rates(chain(continuous=True))


def ring(rng: np.random.Generator, areas: int) -> tuple[list[PowerArea], list[Tie]]:
    """Areas 1..M with random parameters, in a ring."""
    low, high = [5.0, 0.05, 0.2, 0.2, 0.2, 0.3], [15.0, 0.5, 1.0, 1.0, 1.0, 0.6]
    listed = [PowerArea(k, *rng.uniform(low, high).tolist()) for k in range(1, areas + 1)]
    ends = {(min(k, k % areas + 1), max(k, k % areas + 1)) for k in range(1, areas + 1)}
    return listed, [Tie(a, b, float(rng.uniform(1.0, 5.0))) for a, b in sorted(ends)]


def stiffnesses(ties: list[Tie], area: int) -> dict[str, float]:
    """As theta has them."""
    here = {tie.second: tie.stiffness for tie in ties if tie.first == area}
    here |= {tie.first: tie.stiffness for tie in ties if tie.second == area}
    return {f"P_ij/area_{other}": stiffness for other, stiffness in here.items()}


@settings(max_examples=40)
@given(seeds, st.integers(2, 6), st.floats(0.2, 2.0))
def test_a_networks_ties_may_take_other_values(seed: int, areas: int, T: float) -> None:
    rng = np.random.default_rng(seed)
    listed, ties = ring(rng, areas)
    others = [replace(tie, stiffness=float(rng.uniform(1.0, 5.0))) for tie in ties]
    expected = power_network_of(listed, others).local_models(T).models
    for i, learned in enumerate(tie_parameters(power_network_of(listed, ties), T)):
        assert learned.initial == pytest.approx(stiffnesses(ties, i + 1), rel=1e-14)
        model = fields_of(learned.model(stiffnesses(others, i + 1)))
        for field, array in fields_of(expected[i]).items():
            np.testing.assert_allclose(model[field], array, rtol=1e-10, atol=1e-12)


def test_the_two_ends_of_a_tie_are_apart() -> None:
    first, second, *_ = tie_parameters(power_network(), 1.0)
    assert list(first.initial) == ["P_ij/area_2"] and list(second.initial) == ["P_ij/area_1", "P_ij/area_3"]
    cut = first.model({"P_ij/area_2": 0.0})
    assert not cut.A_ij[1].any() and cut.coupled_columns(1) == (0,)  # still shared, so that it can come back
    np.testing.assert_array_equal(second.model(second.initial).A_ij[0], second.base.A_ij[0])


def test_only_areas_have_ties() -> None:
    with pytest.raises(
        PlantError, match="pendulums: left is no area of a power network: its states are p, v, expected"
    ):
        tie_parameters(pendulums(1.0), 1.0)
