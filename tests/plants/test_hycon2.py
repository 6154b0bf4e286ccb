"""The benchmark network: its tables, its loads, and its motion against an integrator."""

from typing import Any, Literal

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.hycon2 import power_network

# The benchmark's table once more: H, R, D, Tt, Tg by area, and P by tie.
TABLE = {
    1: (12, 0.05, 0.7, 0.65, 0.1), 2: (10, 0.0625, 0.9, 0.4, 0.1), 3: (8, 0.08, 0.9, 0.3, 0.1),
    4: (8, 0.08, 0.7, 0.6, 0.1), 5: (10, 0.05, 0.86, 0.8, 0.15),
}  # fmt: skip
P = {(1, 2): 4, (2, 3): 2, (3, 4): 2, (2, 5): 3, (4, 5): 3}


def area_matrix(i: int, neighbours: list[int]) -> Array:
    H, R, D, Tt, Tg = TABLE[i]
    pull = sum(P[min(i, j), max(i, j)] for j in neighbours)
    return np.array([
        [0, 1, 0, 0],
        [-pull / (2 * H), -D / (2 * H), 1 / (2 * H), 0],
        [0, 0, -1 / Tt, 1 / Tt],
        [0, -1 / (R * Tg), 0, -1 / Tg],
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "neighbours"),
    [
        (1, {1: [2], 2: [1, 3], 3: [2, 4], 4: [3]}),
        (2, {1: [2], 2: [1, 3, 5], 3: [2, 4], 4: [3, 5], 5: [2, 4]}),
        (3, {1: [2], 2: [1, 3, 5], 3: [2], 5: [2]}),
    ],
)
def test_every_block_is_the_benchmarks(scenario: Literal[1, 2, 3], neighbours: dict[int, list[int]]) -> None:
    plant = power_network(scenario)
    A, B = plant.system.A, plant.system.B
    numbers, M = list(neighbours), len(neighbours)
    assert [agent.name for agent in plant.agents] == [f"area_{i}" for i in numbers]
    for a, i in enumerate(numbers):
        rows = slice(4 * a, 4 * a + 4)
        assert plant.agents[a].neighbours == tuple(f"area_{j}" for j in neighbours[i])
        np.testing.assert_allclose(A[rows, rows], area_matrix(i, neighbours[i]), rtol=1e-14)
        for b, j in enumerate(numbers):
            coupling = np.zeros((4, 4))
            if j in neighbours[i]:
                coupling[1, 0] = P[min(i, j), max(i, j)] / (2 * TABLE[i][0])
            if i != j:
                np.testing.assert_allclose(A[rows, 4 * b : 4 * b + 4], coupling, rtol=1e-14)
        np.testing.assert_allclose(B[rows, a], [0, 0, 0, 1 / TABLE[i][4]])
        np.testing.assert_allclose(B[rows, M + a], [0, -1 / (2 * TABLE[i][0]), 0, 0])
        assert np.count_nonzero(B[rows]) == 2
    assert np.linalg.matrix_rank(A) == 4 * M - 1


LOADS: dict[int, dict[int, tuple[float, ...]]] = {
    1: {0: (0, 0, 0, 0), 5: (0.15, 0, 0, 0), 15: (0.15, -0.15, 0, 0), 20: (0.15, -0.15, 0.12, 0),
        40: (0.15, -0.15, -0.12, 0.28)},
    2: {5: (0.1, 0, 0, 0, 0), 15: (0.1, -0.16, 0, 0, 0), 20: (-0.22, 0.12, -0.1, 0, 0), 30: (-0.22, 0.12, 0.1, 0, 0),
        40: (-0.22, 0.12, 0.1, 0.08, -0.1)},
    3: {5: (0.1, 0, 0, 0), 20: (-0.22, 0.12, -0.1, 0), 40: (-0.22, 0.12, 0.1, -0.1)},
}  # fmt: skip


@pytest.mark.parametrize("scenario", [1, 2, 3])
def test_loads_are_levels_from_their_time_on(scenario: Literal[1, 2, 3]) -> None:
    bound = power_network(scenario).bind(1, np.random.SeedSequence(0))
    for time, levels in LOADS[scenario].items():
        np.testing.assert_array_equal(bound.values(time), levels)
        np.testing.assert_array_equal(bound.measured(time), levels)
    np.testing.assert_array_equal(bound.values(4), np.zeros(len(levels)))
    np.testing.assert_array_equal(bound.values(99), levels)


def test_scenario_1_moves_as_an_independent_integrator_says() -> None:
    """100 s with the load steps and a random input each second: sampled states agree to 1e-8 (rtol 1e-10)."""
    plant = power_network(1)
    bound = plant.bind(2, np.random.SeedSequence(0))  # two ticks a second: every sample is cut in half
    rng = np.random.default_rng(3)
    x = reference = plant.initial_state
    A = np.array(plant.system.A)
    B = np.array(plant.system.B)
    worst = 0.0
    for k in range(100):
        u = plant.saturate(bound.setpoints(2 * k)[16:] + rng.uniform(-0.2, 0.2, 4))
        for tick in (2 * k, 2 * k + 1):
            x = plant.advance(x, 0.5, u, bound.values(tick))
        load = np.array(
            [0.15 * (k >= 5), -0.15 * (k >= 15), 0.12 * (20 <= k < 40) - 0.12 * (k >= 40), 0.28 * (k >= 40)]
        )
        inflow = B @ np.concatenate([u, load])
        reference = solve_ivp(
            lambda t, s, inflow=inflow: A @ s + inflow, (0.0, 1.0), reference, method="DOP853", rtol=1e-10, atol=1e-12
        ).y[:, -1]
        worst = max(worst, float(np.abs(x - reference).max()))
    assert np.abs(reference).max() > 0.05
    assert worst < 1e-8


def test_the_two_holds_differ_and_only_one_keeps_the_graph() -> None:
    """At Ts = 1 s an entry differs by more than 1; only the per-area hold keeps the graph."""
    plant = power_network(1)
    areas = plant.local_models(1.0)
    (network,) = plant.local_models(1.0, hold="network").models
    assembled = np.zeros((16, 16))
    for i, model in enumerate(areas.models):
        assembled[4 * i : 4 * i + 4, 4 * i : 4 * i + 4] = model.A
        for j, block in model.A_ij.items():
            assembled[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = block
    assert 1.1 < np.abs(assembled - network.A).max() < 1.2
    assert not assembled[:4, 8:].any() and network.A[:4, 8:].all()
    np.testing.assert_allclose(network.A, expm(plant.system.A), rtol=1e-12, atol=1e-12)
    assert [model.coupled_columns(j) for model in areas.models for j in model.neighbours] == [(0,)] * 6


def test_the_learning_papers_limits() -> None:
    plant = power_network(1, input_limits="learning", load_noise=0.1, violation_weight=500.0)
    np.testing.assert_array_equal(plant.input_limits[:, 1], [0.2, 0.1, 0.3, 0.1])
    assert plant.local_models(1.0).models[0].slack_weight[0] == 500.0
    np.testing.assert_array_equal(power_network(1).input_limits[:, 1], [0.5, 0.65, 0.65, 0.55])
    own = power_network(2, input_limits={"dPref_5": (-0.3, 0.2)})
    np.testing.assert_array_equal(own.input_limits[[0, 4]], [[-0.5, 0.5], [-0.3, 0.2]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": 4}, "scenarios 1, 2 and 3, got 4"),
        ({"scenario": True}, "got True"),
        ({"scenario": "1"}, "got '1'"),
        ({"input_limits": "tight"}, "'hycon2', 'learning' or a mapping by input name, got 'tight'"),
        ({"scenario": 2, "input_limits": "learning"}, "no input limit for area 5"),
    ],
)
def test_what_the_benchmark_has_not_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PlantError, match=message):
        power_network(**arguments)
