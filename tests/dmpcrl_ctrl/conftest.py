"""A network that uses every feature of the model at once; agents differ in every dimension, coupling is directed."""

import numpy as np
import pytest

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem

HORIZON = 4


def everything() -> MPCProblem:
    """Agent 1 is acted on by 0 and 2; agent 2 bounds a combination with 0; agent 0 is acted on by nobody."""
    rng = np.random.default_rng(5)

    def weight(size: int) -> np.ndarray:
        root = rng.normal(size=(size, size))
        return root @ root.T + np.eye(size)

    zero = LocalModel(
        0.5 * rng.normal(size=(2, 2)), rng.normal(size=(2, 1)), weight(2), weight(1), E=rng.normal(size=(2, 1)),
        b=rng.normal(size=2), P=weight(2), f=rng.normal(size=3), V0=1.5, u_min=[-2.0], u_max=[np.inf], du_max=[3.0],
    )  # fmt: skip
    one = LocalModel(
        0.5 * rng.normal(size=(3, 3)), rng.normal(size=(3, 2)), weight(3), weight(2),
        A_ij={0: rng.normal(size=(3, 2)), 2: np.array([[0.3], [0.0], [-0.2]])},
        C=rng.normal(size=(3, 3)), lower=[-0.1, -np.inf, -50.0], upper=[0.1, 0.2, 50.0], x_lb=[-0.1, 0.0, 0.0],
        x_ub=[0.2, 0.1, 0.0], slack_weight=[3.0, 2.0, np.inf], slack_quadratic=[0.5, 0.0, 0.0],
        G=rng.normal(size=(2, 3)), G_ij={0: rng.normal(size=(2, 2))}, Q_c=weight(2),
        u_min=[-1.0, -1.0], u_max=[1.0, 1.0],
    )  # fmt: skip
    two = LocalModel(
        [[0.9]], [[1.0]], weight(1), weight(1), C=[[1.0]], C_ij={0: np.array([[0.5, 0.0]])}, lower=[-0.5], upper=[0.4],
        slack_weight=[4.0], x_setpoint=[0.3], u_setpoint=[0.1],
    )  # fmt: skip
    return MPCProblem((zero, one, two), HORIZON, 0.9, ("zero", "one", "two"))


def everything_data(seed: int) -> tuple[AgentData, ...]:
    """Random states, disturbances, set points over the horizon and previous inputs."""
    rng, problem = np.random.default_rng(seed), everything()
    return tuple(
        AgentData(
            rng.normal(size=model.n),
            rng.normal(size=(HORIZON, model.d)),
            0.3 * rng.normal(size=(HORIZON + 1, model.n)),
            0.3 * rng.normal(size=(HORIZON, model.m)),
            0.3 * rng.normal(size=model.m),
        )
        for model in problem.models
    )


@pytest.fixture
def problem() -> MPCProblem:
    """The network with every feature."""
    return everything()


@pytest.fixture
def data() -> tuple[AgentData, ...]:
    """Data for it."""
    return everything_data(0)
