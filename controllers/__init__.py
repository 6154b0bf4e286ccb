"""Discrete-time blocks around the method, and the baselines."""

from dmpcrl_ctrl.controllers.mpc import CentralizedMPC, DistributedMPC

__all__ = ["CentralizedMPC", "DistributedMPC"]
