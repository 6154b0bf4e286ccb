"""Q-learning, local: every agent moves its own parameters by a temporal difference that all agree on.

    delta = L + gamma V(s') - Q(s, a)                    sums over the agents, agreed by averaging
    theta_i <- Pi_i( theta_i + alpha mean_batch( delta grad_i Q ) )

delta is a sum of what each agent has, L_i + gamma V_i - Q_i, and the derivative of Q by theta_i is one of agent i's
share of the Lagrangian. So nothing but delta has to be agreed upon, and the update is that of one central learner.
Second order is in `gauss_newton.py`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Theta
from dmpcrl_ctrl.projection import Projection, projected


def temporal_difference(cost: Array, discount: float, next_value: Array, value: Array) -> Array:
    """(M,): each agent's share L_i + gamma V_i(s') - Q_i(s, a)."""
    return np.asarray(cost + discount * next_value - value)


def flat(theta: Theta) -> Array:
    """(p,): the parameters of an agent one after the other."""
    return np.concatenate([np.zeros(0), *(np.ravel(value) for value in theta.values())])


def shaped(vector: Array, like: Theta) -> dict[str, Array]:
    """The parameters again, from one vector."""
    ends = np.cumsum([0, *(np.size(value) for value in like.values())])
    cuts = zip(like.items(), pairwise(ends), strict=True)
    return {name: vector[a:b].reshape(np.shape(value)) for (name, value), (a, b) in cuts}


def gradient_by_theta(
    parametrizations: Sequence[Parametrization], thetas: Sequence[Theta], gradients: Sequence[Mapping[str, object]]
) -> tuple[Array, ...]:
    """(p_i,) an agent: derivative of the value by its parameters."""
    parts = zip(parametrizations, thetas, gradients, strict=True)
    return tuple(flat(made.pullback(theta, gradient)) for made, theta, gradient in parts)


def gradient_step(deltas: Array, gradients: Array, step_size: float) -> Array:
    """(p,): alpha mean_j( delta_j g_j ) of deltas (K,) and gradients (K, p), the step of first order."""
    return np.asarray(step_size * (deltas[:, None] * gradients).mean(axis=0))


def moved(theta: Theta, step: Array, sets: Mapping[str, Projection]) -> dict[str, Array]:
    """One agent's parameters after a step (p,), each in its convex set."""
    return projected(shaped(flat(theta) + step, theta), sets)
