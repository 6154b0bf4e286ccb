"""Plants: python-control systems with agents, limits, costs and disturbances; benchmark networks."""

from dmpcrl_ctrl.plants.plant import Plant

__all__ = ["Plant"]
