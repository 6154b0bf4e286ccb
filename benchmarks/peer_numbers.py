"""The numbers of the peer's problems, stated from the papers and not taken from our plants: the two can be compared.

Only numpy and scipy: the peer's interpreter reads this file, and ours does.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm, expm_frechet

Array = NDArray[np.float64]
Blocks = dict[str, Array]

# H [s], R, D, Tt [s], Tg [s] and the bound on the input of areas 1 to 4 (Hycon2; input bounds of the learning paper)
_AREAS = (
    (12.0, 0.05, 0.7, 0.65, 0.1, 0.2),
    (10.0, 0.0625, 0.9, 0.4, 0.1, 0.1),
    (8.0, 0.08, 0.9, 0.3, 0.1, 0.3),
    (8.0, 0.08, 0.7, 0.6, 0.1, 0.1),
)
# stiffness of the ties: as it is, and as areas i believe that of their tie to j to be
_TRUE = {(0, 1): 4.0, (1, 2): 2.0, (2, 3): 2.0}
_BELIEVED = {(0, 1): 4.7675, (1, 0): 3.2621, (1, 2): 2.7460, (2, 1): 3.3385, (2, 3): 0.0732, (3, 2): 3.0006}
_SECONDS = 1.0


@dataclass(frozen=True)
class Share:
    """One agent's part of a problem.

    Its model is x+ = A x + B u + sum_j A_ij x_j + E d + scale b. Of `bounded` states x(k+1) lies in
    [low + x_lb - sigma(k), high + x_ub + sigma(k)], and sigma(k) costs price gamma^k.

    Attributes
    ----------
    neighbours
        Numbers of the agents that act on this one.
    model
        What is not learned of A, B, E, Q, R and "A_ij/<j>"; what `slopes` move, at the start.
    slopes
        Parameter -> derivative of blocks of the model by it: the model is affine in these parameters.
    theta
        Parameters that are learned, at the start.
    bounded, low, high, price
        Numbers of states, their bounds and the price of leaving them.
    input_bound
        Of |u|.
    setpoint, input_setpoint
        Columns (n, d), (m, d): set points by the load that is measured.
    scale
        Of b.
    """

    neighbours: tuple[int, ...]
    model: Blocks
    theta: Blocks
    bounded: tuple[int, ...]
    low: Array
    high: Array
    price: float
    input_bound: float
    setpoint: Array
    input_setpoint: Array
    scale: float = 1.0
    slopes: dict[str, Blocks] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A problem of several agents, the plant it is for, and how the peer learns in it.

    Attributes
    ----------
    shares, horizon, penalty
        Agents, N, and rho of ADMM; the discount is 0.9.
    A, B, E, noise
        The plant x+ = A x + B u + E w with w uniform on the interval `noise`.
    Q, R, start
        Weights of the stage cost and the first state.
    rate, decay, every, memory, strength, explore
        Learning rate and its factor; steps between updates; length, sample and newest of the replay; exploration:
        strength, probability and its factor.
    """

    shares: tuple[Share, ...]
    horizon: int
    penalty: float
    A: Array
    B: Array
    E: Array
    noise: tuple[float, float]
    Q: Array
    R: Array
    start: Array
    rate: float
    decay: float
    every: int
    memory: tuple[int, int, int]
    strength: float
    explore: tuple[float, float]


def chain() -> Example:
    """Three agents in a line, each with two states: example 1."""
    line = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    shares = []
    for row in line:
        neighbours = tuple(int(j) for j in np.flatnonzero(row))
        learned = {"A": _array([[1.0, 0.25], [0.0, 1.0]]), "B": _array([[0.0312], [0.25]])}
        learned |= {f"A_ij/{j}": np.zeros((2, 2)) for j in neighbours}
        learned |= {"V0": np.zeros(()), "b": np.zeros(2), "f": np.zeros(3), "x_lb": np.zeros(2)}
        learned["x_ub"] = _array([1.0, 0.0])
        fixed = {"E": np.zeros((2, 1)), "Q": 0.5 * np.eye(2), "R": _array([[0.25]])}
        low, high = _array([0.0, -1.0]), np.ones(2)
        none = np.zeros((2, 1)), np.zeros((1, 1))
        shares.append(Share(neighbours, fixed, learned, (0, 1), low, high, 60.0, 1.0, *none))
    A = _array(np.kron(np.eye(3), [[0.9, 0.35], [0.0, 1.1]]) + np.kron(line, [[0.0, 0.0], [0.0, -0.1]]))
    B, E = _array(np.kron(np.eye(3), [[0.0813], [0.2]])), _array(np.kron(np.eye(3), [[1.0], [0.0]]))
    Q, R, start = 0.5 * np.eye(6), 0.25 * np.eye(3), np.tile([0.0, 0.15], 3)
    learning = 6e-5, 0.9996, 2, (100, 15, 10), 1.0, (0.7, 0.99)
    return Example(tuple(shares), 10, 0.5, A, B, E, (-0.1, 0.0), Q, R, start, *learning)


def power() -> Example:
    """Four areas of the Hycon2 network in a line, each with its own hold over a second: example 2."""
    shares = []
    for i in range(4):
        neighbours = tuple(j for j in (i - 1, i + 1) if 0 <= j < 4)
        believed = {j: _BELIEVED[i, j] for j in neighbours}
        model, slopes = _held_area(i, believed)
        learned = {"V0": np.zeros(()), "b": np.zeros(4), "f": np.zeros(5), "x_lb": np.zeros(1), "x_ub": np.zeros(1)}
        learned |= {"Q": np.diag([500.0, 0.1, 0.1, 10.0]), "R": _array([[10.0]])}
        learned |= {f"P_ij/area_{j + 1}": np.asarray(p) for j, p in believed.items()}
        setpoints = _array([[0.0], [0.0], [1.0], [1.0]]), np.ones((1, 1))
        bound, limit = _array([0.1]), _AREAS[i][-1]
        shares.append(Share(neighbours, model, learned, (0,), -bound, bound, 500.0, limit, *setpoints, 0.1, slopes))
    A, B, E = network()
    Q, R = np.diag(np.tile([500.0, 0.01, 0.01, 10.0], 4)), 10.0 * np.eye(4)
    learning = 7e-7, 0.98, 100, (300, 150, 100), 0.04, (0.5, 0.8)
    return Example(tuple(shares), 5, 50.0, A, B, E, (-0.1, 0.1), Q, R, np.zeros(16), *learning)


def network() -> tuple[Array, Array, Array]:
    """A (16, 16), B and E (16, 4) of the whole power network, held exactly over a second."""
    A, B, E = np.zeros((16, 16)), np.zeros((16, 4)), np.zeros((16, 4))
    for i in range(4):
        ties = {b if a == i else a: p for (a, b), p in _TRUE.items() if i in (a, b)}
        rates = _rates(i, ties)
        at = slice(4 * i, 4 * i + 4)
        A[at, at], B[at, i : i + 1], E[at, i : i + 1] = rates["A"], rates["B"], rates["E"]
        for j in ties:
            A[at, 4 * j : 4 * j + 4] = rates[f"A_ij/{j}"]
    held = expm(_SECONDS * np.block([[A, B, E], [np.zeros((8, 24))]]))
    return held[:16, :16], held[:16, 16:20], held[:16, 20:]


EXAMPLES = {"chain": chain, "power": power}


def _rates(i: int, ties: dict[int, float]) -> Blocks:
    """Of theta' = omega, 2H omega' = Pm - PL - D omega - sum P (theta - theta_j), Tt Pm' = Pv - Pm and
    Tg Pv' = u - Pv - omega/R."""
    H, R, D, Tt, Tg, _ = _AREAS[i]
    A = _array(
        [
            [0.0, 1.0, 0.0, 0.0],
            [-sum(ties.values()) / (2.0 * H), -D / (2.0 * H), 1.0 / (2.0 * H), 0.0],
            [0.0, 0.0, -1.0 / Tt, 1.0 / Tt],
            [0.0, -1.0 / (R * Tg), 0.0, -1.0 / Tg],
        ]
    )
    blocks = {"A": A, "B": _array([[0.0], [0.0], [0.0], [1.0 / Tg]]), "E": _array([[0.0], [-0.5 / H], [0.0], [0.0]])}
    for j, stiffness in ties.items():
        blocks[f"A_ij/{j}"] = np.zeros((4, 4))
        blocks[f"A_ij/{j}"][1, 0] = stiffness / (2.0 * H)
    return blocks


def _held_area(i: int, ties: dict[int, float]) -> tuple[Blocks, dict[str, Blocks]]:
    """The area's own hold, its neighbours held as its input is, and the derivative by the stiffness of each tie.

    The peer's own hold is a power series that is wrong by up to 0.09; this one is exact at the stiffness believed in,
    with its derivative, and costs less to evaluate.
    """
    rates = _rates(i, ties)
    widths = {name: block.shape[1] for name, block in rates.items()}
    width = sum(widths.values())

    def generator(blocks: Blocks) -> Array:
        full = np.zeros((width, width))
        full[:4] = np.hstack([blocks[name] for name in widths])
        return _SECONDS * full

    def split(held: Array) -> Blocks:
        ends = np.cumsum(list(widths.values()))[:-1]
        return dict(zip(widths, np.split(held[:4], ends, axis=1), strict=True))

    slopes = {}
    for j in ties:
        moved = _rates(i, {**ties, j: ties[j] + 1.0})
        direction = generator({name: moved[name] - rates[name] for name in widths})
        slopes[f"P_ij/area_{j + 1}"] = split(expm_frechet(generator(rates), direction, compute_expm=False))
    return split(expm(generator(rates))), slopes


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)
