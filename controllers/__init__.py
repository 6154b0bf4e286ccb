"""Discrete-time blocks around the method, and the baselines."""

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers.block import Block, Field
from dmpcrl_ctrl.controllers.distributed_mpc import DistributedMPC
from dmpcrl_ctrl.controllers.learning import LearningMPC
from dmpcrl_ctrl.controllers.lqr import LQR
from dmpcrl_ctrl.controllers.mpc import CentralizedMPC
from dmpcrl_ctrl.controllers.observer import Observer
from dmpcrl_ctrl.controllers.policy_learning import PolicyLearning
from dmpcrl_ctrl.controllers.scenario import ScenarioMPC
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem

__all__ = [
    "LQR",
    "ADMMOptions",
    "Block",
    "CentralizedMPC",
    "DistributedMPC",
    "Field",
    "LearningMPC",
    "LocalModel",
    "MPCProblem",
    "Observer",
    "PolicyLearning",
    "ScenarioMPC",
    "Signals",
]
