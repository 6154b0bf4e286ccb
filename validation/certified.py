"""Certificates of a run in two numbers a sample: the largest residual, and the width of the bracket on the value."""

from typing import TYPE_CHECKING

import numpy as np

from dmpcrl_ctrl.arrays import Array

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.trace import ControllerTrace

_RESIDUALS = tuple(f"certificate/{name}" for name in ("stationarity", "feasibility", "sign", "complementarity"))
_BRACKET = ("certificate/value_lower", "certificate/value_upper")


def largest_residuals(trace: "ControllerTrace") -> Array | None:
    """(K,): the largest residual of the optimality conditions over all agents, NaN where there is none.

    None where the controller wrote down no certificates.
    """
    if any(name not in trace.fields or trace[name].ndim != 2 or not trace[name].shape[1] for name in _RESIDUALS):
        return None
    return np.asarray(np.max([trace[name].max(axis=1) for name in _RESIDUALS], axis=0))


def bracket_widths(trace: "ControllerTrace") -> Array | None:
    """(K,): width of the bracket as a share of its end that is further from zero; infinite without an upper end.

    NaN where there is none; None where the controller wrote down no certificates.
    """
    if any(name not in trace.fields or trace[name].ndim != 1 for name in _BRACKET):
        return None
    lower, upper = (trace[name].astype(float) for name in _BRACKET)
    open_ended = np.isinf(lower) | np.isinf(upper)
    size = np.maximum(np.abs(lower), np.abs(upper))
    width = np.divide(upper - lower, size, out=np.zeros_like(lower), where=(size > 0.0) & ~open_ended)
    return np.where(open_ended, np.inf, np.where(np.isnan(lower), np.nan, width))
