"""Disturbances and set points on a clock: what acts, what is told, what follows the load."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError, SourceError
from dmpcrl_ctrl.plants.disturbance import Ramp, Sampled, Steps, UniformNoise
from dmpcrl_ctrl.plants.exogenous import Surroundings, surroundings
from dmpcrl_ctrl.plants.partition import SignalNames

NAMES = SignalNames(("x", "y"), ("u",), ("load", "leak"))
SEED = np.random.SeedSequence(1)
LOAD = Steps((5,), (0.3,)) + UniformNoise(-0.1, 0.1, 1)


def around(**changes: Any) -> Surroundings:
    given: dict[str, Any] = {
        "names": NAMES,
        "disturbances": {"load": LOAD, "leak": Ramp(2, 0.5)},
        "setpoints": {"y": Steps((3,), (7.0,))},
        "rest": np.array([1.0, 2.0, 3.0]),
        "gain": [[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]],
        "plant": "p",
    }
    return surroundings(**given | changes)


def test_what_acts_and_what_is_told() -> None:
    bound = around().bind(2, SEED)
    np.testing.assert_allclose(bound.measured(12), [0.3, 2.0])
    assert 0.2 <= bound.values(12)[0] < 0.4 and bound.values(12)[0] != 0.3
    np.testing.assert_array_equal(bound.slopes(12), [0.0, 0.5])


def test_set_points_are_references_plus_the_measured_load() -> None:
    bound = around().bind(2, SEED)
    np.testing.assert_allclose(bound.setpoints(0), [1.0, 0.0, 3.0])
    np.testing.assert_allclose(bound.setpoints(12), [1.3, 7.0, 3.6])


def test_only_disturbances_have_edges_for_the_plant() -> None:
    bound = around(disturbances={"load": Steps((5,), (0.3,)), "leak": None}).bind(2, SEED)
    assert bound.next_edge(0) == 10  # not 6, where a set point steps
    assert bound.next_edge(10) is None


def test_the_clock_is_told_every_instant() -> None:
    assert around().instants() == tuple(map(Fraction, (1, 2, 3, 5)))


def test_nothing_given_is_zero_and_unmeasured() -> None:
    silent = around(disturbances={"load": None, "leak": 0.5}, gain=None)
    assert silent.measured_names == ("leak",)
    np.testing.assert_array_equal(silent.bind(1, SEED).values(3), [0.0, 0.5])


def test_noise_belongs_to_the_name_and_not_to_the_place() -> None:
    noise = UniformNoise(0.0, 1.0, 1)
    both = around(disturbances={"load": noise, "leak": noise}).bind(1, SEED).values(4)
    assert both[0] != both[1]
    names = SignalNames(("x", "y"), ("u",), ("leak",))
    alone = around(names=names, disturbances={"leak": noise}, gain=None).bind(1, SEED).values(4)
    assert alone[0] == both[1]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"setpoints": {"yy": 1.0}}, PlantError, "p: set point of 'yy' does not exist; did you mean 'y'"),
        ({"setpoints": {"y": "high"}}, SourceError, "p: set point of y: a signal is a Source or a number, got 'high'"),
        ({"disturbances": {"load": [1.0], "leak": 0.0}}, SourceError, r"p: disturbance load: .*got \[1.0\]"),
        ({"gain": np.zeros((2, 2))}, PlantError, r"setpoint_gain has shape \(2, 2\), expected \(3, 2\)"),
        ({"gain": np.full((3, 2), np.nan)}, PlantError, r"setpoint_gain\[0\]\[0\] is nan"),
    ],
)
def test_bad_input_is_refused_by_name(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        around(**changes)


def test_data_that_end_too_early_say_whose_they_are() -> None:
    bound = around(disturbances={"load": Sampled((1.0,), 2, after="error"), "leak": None}).bind(1, SEED)
    with pytest.raises(SourceError, match="load: the data end at t = 2 s"):
        bound.values(3)
