"""The published results of Mallick, Airaldi, Dabiri and De Schutter (Automatica, 2024), to stand beside ours.

Single runs of the authors, each on noise of its own unless said. Costs are sums over 100 samples, or of an episode.
"""

from dataclasses import dataclass

# Figure 1: ADMM iteration -> sum over agents of |lambda - lambda*|_2 + |mu - mu*|_2, at one state
DUAL_DISTANCE = {1: 0.429, 2: 5.92e-2, 5: 1.30e-2, 10: 1.42e-4, 20: 8.18e-8, 30: 8.24e-11, 40: 7.2e-13, 100: 7.0e-13}

# Figure 3: means over windows of 1,000 samples
WINDOW = 1000
STAGE_COST = {
    "distributed": (0.65, 0.23, 0.18, 0.16, 0.14, 0.13, 0.115, 0.116, 0.113, 0.111),
    "central": (0.49, 0.17, 0.14, 0.117, 0.107, 0.098, 0.099, 0.095, 0.093, 0.093),
}
TD_ERROR = {"distributed": (0.72, 0.27, 0.18, 0.15, 0.12, 0.10, 0.087, 0.084, 0.082, 0.079)}

# Figure 5: samples of training -> cost of the learned policy
LEARNED_COST = {
    0: 312.4,
    10: 146.3,
    20: 90.2,
    50: 120.1,
    100: 78.3,
    200: 52.0,
    1_000: 22.2,
    5_000: 11.54,
    10_000: 10.21,
    15_000: 10.10,
    20_000: 10.09,
}
CHAIN_COST = {
    "nominal, inexact model": 360.2,
    "nominal, true model": 786.8,
    "scenario 10, model unknown": 61.4,
    "scenario 10, model known": 11.1,
    "scenario 25, model unknown": 23.97,
    "scenario 25, model known": 7.67,
}


@dataclass(frozen=True)
class Episodes:
    """Figure 8: a controller over 100 episodes.

    Attributes
    ----------
    mean, median
        Cost of an episode.
    quartiles
        Of the cost; None where they are not published.
    violations, clean
        Mean number of samples with a violation in an episode; episodes without one.
    """

    mean: float
    median: float
    quartiles: tuple[float, float] | None
    violations: float
    clean: int


POWER_COST = {
    "learned, distributed": Episodes(274.3, 272.0, (262.0, 286.2), 0.0, 100),
    "learned, central": Episodes(264.9, 262.6, (254.9, 274.9), 0.0, 100),
    "scenario 50": Episodes(315.2, 311.4, None, 2.9, 33),
    "scenario 79": Episodes(318.0, 317.6, (297.8, 331.4), 3.4, 37),
    "scenario 100": Episodes(321.7, 319.2, None, 4.4, 21),
    "nominal": Episodes(349.3, 346.7, (325.0, 368.3), 10.2, 2),
}
