"""Closed loops of plants and discrete-time blocks: integer clock, wiring by name, event order, log."""

from dmpcrl_ctrl.cosim.clock import Clock
from dmpcrl_ctrl.cosim.log import Run, open_log
from dmpcrl_ctrl.cosim.simulate import simulate
from dmpcrl_ctrl.cosim.trace import ControllerTrace

__all__ = ["Clock", "ControllerTrace", "Run", "open_log", "simulate"]
