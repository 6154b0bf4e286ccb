"""A small extent of the paper's figures, and a training of it."""

from dmpcrl_ctrl.validation.paper_work import Extent, Work

SMALL = Extent(
    chain_samples=12,
    agents_samples=10,
    power_episodes=1,
    chain_evaluations=2,
    power_evaluations=1,
    states=2,
    episode=30,
)
TRAIN = Work("chain-central-0", "chain", "train central", "published", 0, SMALL)
