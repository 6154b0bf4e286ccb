"""How the agents of a logged controller averaged, and what their beliefs of a sum may differ from it by."""

from dataclasses import dataclass

import networkx as nx
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.errors import AveragingError, NetworkError
from dmpcrl_ctrl.network import communication_graph
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.comparison import Compared, Where, compared

# Of the terms of a sum.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class LoggedAveraging:
    """Averaging and its rounds; None: one who computes for all knows all."""

    averaging: Averaging | None
    rounds: int = 0

    def beliefs(self, where: Where, claimed: Array, shares: Array) -> Compared:
        """What (M,) agents believe of a sum beside the sum of their (M,) shares."""
        total = np.full(len(shares), shares.sum())
        if not np.isfinite(total).all():
            return compared(where, claimed, total)
        left = 0.0 if self.averaging is None else self.averaging.predicted_error(self.rounds)
        spread = float(np.linalg.norm(len(shares) * shares - total))
        rounding = ROUNDING * len(shares) * float(np.abs(shares).sum())
        return compared(where, claimed, total, left * spread + rounding)


def logged_averaging(problem: MPCProblem, reader: LogReader, name: str) -> LoggedAveraging:
    """Of controller `name`, by the attributes of its group.

    Raises
    ------
    LogError
        There is no such averaging.
    """
    about = reader.attributes(f"controller/{name}")
    if "averaging" not in about:
        return LoggedAveraging(None)
    graph: nx.Graph[int] = communication_graph(problem)
    try:
        averaging = Averaging.from_graph(graph, about["averaging"], about["acceleration"])
        averaging.predicted_error(about["averaging_rounds"])
    except (AveragingError, NetworkError, KeyError, ValueError, TypeError) as error:
        raise reader.fault(f"controller/{name}", "weights, acceleration, rounds of averaging", str(error)) from error
    return LoggedAveraging(averaging, about["averaging_rounds"])
