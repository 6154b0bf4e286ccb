"""The weights of ADMM's penalty, chosen from the curvature of the agents' own costs.

States of a network may scale as 1 : 5000, so that one scalar for all of them is slow. A shared component gets the
geometric mean of the least curvature that its owner's cost has in it and of the largest that its holders' costs have,
and more of it at the stages that its owner can hardly move.
"""

from collections.abc import Sequence

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index, dense
from dmpcrl_ctrl.consensus import Held
from dmpcrl_ctrl.horizon import Horizon
from dmpcrl_ctrl.network import SharedStates

_RANGE = 10.0
_NOISE = 1e-9
_TINY = 1e-100
# at most this much heavier at one stage than at another
_STEEPEST = 100.0


def automatic_penalty(horizons: Sequence[Horizon], held: Sequence[Held], shared: SharedStates) -> Array:
    """(Z,): the diagonal of W, a number for each shared component and stage.

    w(k) = 2 sqrt(a max(b, a / 1000)) gamma^k sqrt(c(k) / min c): a is the least curvature of the owner's cost along the
    component's trajectory, b the largest curvature that a holder's cost has in its copy, with its inputs at their best,
    c(k) = gamma^-k times the curvature of the owner's cost in stage k alone. Inequalities are left out; they add to a
    curvature and never take from it, which is what the factor 2 is for.

    A component that its owner's inputs hardly reach, or move at no cost, has no sensible a: it is kept within a factor
    of the direct cost on it and of b. One that no cost sees at all takes the median of the others.
    """
    owners: dict[tuple[int, int], float] = {}
    direct: dict[tuple[int, int], float] = {}
    holders: dict[tuple[int, int], float] = {}
    stages = np.ones(shared.size)
    discount = horizons[0].weights[shared.stage] if shared.size else stages
    for i, (horizon, h) in enumerate(zip(horizons, held, strict=True)):
        H_uu_inverse, E, H_c = _condensed(horizon)
        for key, at, entries in _components(shared, h):
            if key[0] == i:
                reach = E[at] @ H_uu_inverse @ E[at].T
                owners[key] = 1.0 / max(float(np.linalg.eigvalsh(reach)[-1]), _TINY)
                direct[key] = float(abs(horizon.H[np.ix_(at, at)]).max())
                alone = 1.0 / np.maximum(np.diag(reach), _TINY) / discount[entries]
                stages[entries] = np.minimum(np.sqrt(alone / alone.min()), _STEEPEST)
            else:
                copies = at - horizon.layout.size + len(H_c)
                curvature = float(np.linalg.eigvalsh(H_c[np.ix_(copies, copies)])[-1])
                seen = curvature > _NOISE * float(abs(horizon.H).max())
                holders[key] = max(holders.get(key, 0.0), curvature if seen else 0.0)
    weights: dict[tuple[int, int], float] = {}
    for key, a in owners.items():
        b = holders[key]
        usual = max(b, direct[key])
        if usual > 0.0:
            a = float(np.clip(a, usual / _RANGE, usual * _RANGE))
            weights[key] = 2.0 * float(np.sqrt(a * max(b, a / 1000.0)))
    unseen = float(np.median(list(weights.values()))) if weights else 1.0
    weights = dict.fromkeys(owners, unseen) | weights
    w = np.array([weights[int(j), int(c)] for j, c in zip(shared.owner, shared.column, strict=True)])
    return w * discount * stages


def _components(shared: SharedStates, h: Held) -> list[tuple[tuple[int, int], Index, Index]]:
    """(owner, column) of every component held, its positions in the agent's variables and its entries of z."""
    keys = np.stack([shared.owner[h.shared], shared.column[h.shared]], axis=1)
    found = []
    for j, c in np.unique(keys, axis=0):
        mine = (keys == (j, c)).all(axis=1)
        found.append(((int(j), int(c)), h.local[mine], h.shared[mine]))
    return found


def _condensed(horizon: Horizon) -> tuple[Array, Array, Array]:
    """H_uu^-1; E (own states to inputs, indexed by position); curvature in the copies with the inputs at their best."""
    layout = horizon.layout
    x, u = layout.x.ravel(), layout.u.ravel()
    c = np.concatenate([positions.ravel() for positions in layout.copied]) if layout.copied else np.zeros(0, dtype=int)
    A, H = dense(horizon.A)[layout.dynamics.ravel()], dense(horizon.H)
    free = np.concatenate([u, c]).astype(int)
    # the dynamics give the states: x = Phi (u, copies)
    response = np.zeros((layout.size, len(free)))
    response[free, np.arange(len(free))] = 1.0
    response[x] = -np.linalg.solve(A[:, x], A[:, free])
    reduced = response.T @ H @ response
    uu, uc = reduced[: len(u), : len(u)], reduced[: len(u), len(u) :]
    # inputs without cost: a floor keeps the inverse finite
    floor = 1e-9 * max(float(np.abs(uu).max(initial=0.0)), 1e-9)
    inverse = np.asarray(np.linalg.inv(uu + floor * np.eye(len(u))))
    return inverse, response[:, : len(u)], reduced[len(u) :, len(u) :] - uc.T @ inverse @ uc
