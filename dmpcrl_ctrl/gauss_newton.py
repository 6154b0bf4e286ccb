"""Q-learning, second order and local: the agents agree on how much their gradients have in common, not on gradients.

First order moves along what a batch of K transitions lacked before the step, this one along what it lacks after it
(to first order in d, with the targets as they are):

    d = alpha mean_j( (delta_j - g_j'd) g_j ),     g_j all agents' derivatives of Q at transition j

which is the step of Gauss and Newton with Levenberg's damping: d minimises mean_j (delta_j - g_j'd)^2 + |d|^2 / alpha.
Its matrix, parameters by parameters, would cross all agents. But with G = (g_1 ... g_K)'

    d_i = G_i'y,     ( G G' + K/alpha I ) y = delta,     G G' = sum_i G_i G_i'

so that K (K + 1) / 2 numbers, sums over the agents as delta is one, are all that has to be agreed upon. Each agent then
solves for y and moves its own parameters; all together make the step of one central learner.
"""

import numpy as np

from dmpcrl_ctrl.arrays import Array


def inner_products(gradients: Array) -> Array:
    """(K (K + 1) / 2,): one agent's share of G G', the upper triangle of G_i G_i' row by row."""
    return np.asarray((gradients @ gradients.T)[np.triu_indices(len(gradients))])


def gauss_newton_step(deltas: Array, gradients: Array, products: Array, step_size: float) -> Array:
    """One agent's d_i.

    Parameters
    ----------
    deltas
        (K,): the agent's belief of the temporal differences.
    gradients
        (K, p): by its own parameters.
    products
        (K (K + 1) / 2,): its belief of the sum over all agents of :func:`inner_products`.
    step_size
        alpha. Small: the step of first order; infinite: of all d with the least mean_j (delta_j - g_j'd)^2 the least.

    Returns
    -------
    ndarray
        (p,).
    """
    K = len(deltas)
    if step_size == 0.0:
        return np.zeros(gradients.shape[1])
    gram = np.zeros((K, K))
    gram[np.triu_indices(K)] = products
    values, vectors = np.linalg.eigh(gram, UPLO="U")
    # a sum of squares has no eigenvalue below zero: rounding and averaging that has not ended have
    damped = np.maximum(values, 0.0) + K / step_size
    kept = damped > K * np.finfo(float).eps * values.max(initial=0.0)
    y = vectors[:, kept] @ ((vectors[:, kept].T @ deltas) / damped[kept])
    return np.asarray(gradients.T @ y)


def explained(gradients: Array, step: Array) -> Array:
    """(K,): one agent's share of g_j'd: by how much a step that was taken lowers what is remembered of delta_j.

    A transition is met again in later updates. If its delta stayed what it was, the same difference would be made up
    for time and again, which small steps forgive and those of second order do not.
    """
    return np.asarray(gradients @ step)
