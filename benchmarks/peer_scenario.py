"""The peer's scenario MPC of the power network: all samples in one program for IPOPT.

Only the peer's own interpreter reads this file.
"""

import time
from collections.abc import Sequence
from typing import Any

import casadi as cs
import numpy as np
from csnlp import Nlp

from benchmarks.peer_agents import DISCOUNT, IPOPT
from benchmarks.peer_numbers import network, power


class PeerScenario:
    """One sequence of inputs for many samples of the loads, which are constant over the horizon.

    Parameters
    ----------
    samples
        How many.
    """

    def __init__(self, samples: int) -> None:
        example, (A, B, E) = power(), network()
        N, shares = example.horizon, example.shares
        self.nlp = Nlp(sym_type="SX")
        start, load = self.nlp.parameter("start", (16, 1)), self.nlp.parameter("load", (4, 1))
        noise = self.nlp.parameter("noise", (4, samples))
        bound = np.array([[share.input_bound] for share in shares])
        u = self.nlp.variable("u", (4, N), lb=-bound, ub=bound)[0]
        x = self.nlp.variable("x", (16 * samples, N))[0]
        sigma = self.nlp.variable("sigma", (4 * samples, N), lb=0.0)[0]
        setpoint = cs.vertcat(*(cs.DM(share.setpoint) @ load[i] for i, share in enumerate(shares)))
        angles = [4 * i for i in range(4)]
        du = u - cs.repmat(load, 1, N)
        cost = samples * sum(DISCOUNT**k * cs.bilin(cs.DM(example.R), du[:, k]) for k in range(N))
        cost += samples * cs.bilin(cs.DM(example.Q), start - setpoint)
        dynamics, bounded, slack = [], [], []
        for s in range(samples):
            states, out = x[16 * s : 16 * (s + 1), :], sigma[4 * s : 4 * (s + 1), :]
            before = cs.horzcat(start, states[:, :-1])
            held = cs.repmat(cs.DM(E) @ (load + noise[:, s]), 1, N)
            dynamics.append(cs.DM(A) @ before + cs.DM(B) @ u + held - states)
            bounded.append(states[angles, :])
            slack.append(out)
            for k in range(N):
                # the bound on x(k+1) and the weight of x(k+1), that of x(N) included
                later = cs.bilin(cs.DM(example.Q), states[:, k] - setpoint) + shares[0].price * cs.sum1(out[:, k])
                cost += DISCOUNT ** (k + 1) * later
        self.nlp.constraint("dynamics", cs.vertcat(*dynamics), "==", 0)
        within, beyond = cs.vertcat(*bounded), cs.vertcat(*slack)
        self.nlp.constraint("low", within + beyond, ">=", shares[0].low[0])
        self.nlp.constraint("high", within - beyond, "<=", shares[0].high[0])
        self.nlp.minimize(cost)
        self.nlp.init_solver(IPOPT)
        self._last: dict[str, Any] | None = None

    def solve(self, draws: Sequence[Sequence[float]], state: Sequence[float], loads: Sequence[float]) -> dict[str, Any]:
        """Seconds, cost and first inputs; the last solution is where IPOPT starts."""
        given = {"start": np.array(state)[:, None], "load": np.array(loads)[:, None], "noise": np.array(draws).T}
        began = time.perf_counter()
        solution = self.nlp.solve(given, self._last)
        seconds = time.perf_counter() - began
        if not solution.success:
            raise RuntimeError(f"IPOPT: {solution.status}")
        self._last = solution.vals
        return {"seconds": seconds, "V": solution.f, "action": np.ravel(solution.vals["u"][:, 0]).tolist()}
