"""Two numbers a sample, out of a whole certificate."""

from typing import Any, cast

import numpy as np

from dmpcrl_ctrl.cosim import ControllerTrace
from dmpcrl_ctrl.validation.certified import bracket_widths, largest_residuals
from tests.validation.conftest import ShortRun


class Trace(dict[str, Any]):
    """Fields made by hand."""

    fields = property(lambda self: tuple(self))


def trace(**fields: Any) -> ControllerTrace:
    made = {f"certificate/{name}": np.asarray(values, dtype=float) for name, values in fields.items()}
    return cast(ControllerTrace, Trace(made))


def test_the_largest_residual_of_all_kinds_and_agents_counts() -> None:
    nothing = [np.nan, np.nan]
    residuals = largest_residuals(
        trace(
            stationarity=[[0.1, 0.0], nothing], feasibility=[[0.0, 0.3], nothing], sign=[[0.0, 0.0], nothing],
            complementarity=[[0.2, 0.0], nothing],
        )
    )  # fmt: skip
    assert residuals is not None
    assert residuals[0] == 0.3 and np.isnan(residuals[1])


def test_a_width_is_a_share_of_the_value() -> None:
    widths = bracket_widths(
        trace(value_lower=[1.0, -4.0, 1.0, np.nan, 0.0], value_upper=[2.0, -3.0, np.inf, np.nan, 0.0])
    )
    assert widths is not None
    assert widths[:3].tolist() == [0.5, 0.25, np.inf] and np.isnan(widths[3]) and widths[4] == 0.0


def test_without_certificates_there_are_none() -> None:
    assert largest_residuals(trace()) is None and bracket_widths(trace()) is None
    assert largest_residuals(trace(stationarity=[1.0])) is None


def test_of_a_real_run(short_run: ShortRun) -> None:
    one = short_run.run.controllers["mpc"]
    residuals, widths = largest_residuals(one), bracket_widths(one)
    assert residuals is not None and widths is not None
    assert (residuals < 1e-2).all() and (widths[np.isfinite(widths)] >= 0.0).all()
    summary = short_run.summary.controllers["mpc"]
    assert summary.residual is not None and summary.residual.max == residuals.max()
    assert summary.bracket_width is not None and summary.bracket_width.max == widths.max()
    assert summary.unbounded_samples == 0
