"""Closed loops of plants and discrete-time blocks: integer clock, wiring by name, event order, log."""

from dmpcrl_ctrl.cosim.clock import Clock
from dmpcrl_ctrl.cosim.log import ControllerTrace, Run, open_log
from dmpcrl_ctrl.cosim.simulate import simulate

__all__ = ["Clock", "ControllerTrace", "Run", "open_log", "simulate"]
