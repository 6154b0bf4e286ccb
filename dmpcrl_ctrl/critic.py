"""A critic that is linear in what each agent knows, fitted by least squares without a row of data crossing.

Of K transitions agent i holds rows X_i of features, and X_i' of those after the transition. With all agents' features
side by side the fixed point of temporal differences (LSTD), with a ridge, is

    X'(Z c - r) + K ridge c = 0,       Z = X - gamma X',      r: what the features have to explain

    c_i = X_i'y,     ( Z X' + K ridge I ) y = r,     Z X' = sum_i Z_i X_i'

so K^2 numbers, sums over the agents, are all that has to be agreed upon besides r.
"""

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.plan import Plan


def quadratic_features(plan: Plan) -> Array:
    """(f,): 1, the states that an agent knows now (its own, and its neighbours' that couple), and their products."""
    known = np.concatenate([plan.x[0], *(x[0] for x in plan.neighbours.values())])
    z = known[np.isfinite(known)]
    return np.concatenate([np.ones(1), z, np.outer(z, z)[np.triu_indices(len(z))]])


def root_mean_squares(rows: Array) -> Array:
    """(f,): size of each column of rows (K, f); 1 where all is zero."""
    sizes = np.sqrt((rows**2).mean(axis=0))
    return np.where(sizes > 0.0, sizes, 1.0)


def cross_products(rows: Array, after: Array, discount: float) -> Array:
    """(K^2,): one agent's share of Z X', row by row, from its rows X_i and X_i' (K, f)."""
    return np.asarray(((rows - discount * after) @ rows.T).ravel())


def critic_weights(rows: Array, targets: Array, products: Array, ridge: float) -> Array:
    """One agent's c_i.

    Parameters
    ----------
    rows
        (K, f): its own X_i.
    targets, products
        (K,), (K^2,): its beliefs of r, and of the sum over all agents of :func:`cross_products`.
    ridge
        Positive: what a weight has to be worth, as a share of a feature of size one.

    Returns
    -------
    ndarray
        (f,).
    """
    K = len(targets)
    y = np.linalg.solve(products.reshape(K, K) + K * ridge * np.eye(K), targets)
    return np.asarray(rows.T @ y)
