"""The peer's agents: both examples stated by its public interface, from the numbers of `peer_numbers`.

Only the peer's own interpreter reads this file.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import casadi as cs
import gymnasium
import numpy as np
from csnlp import Nlp
from csnlp.wrappers import Mpc, NlpSensitivity
from dmpcrl.agents.lstd_ql_coordinator import LstdQLearningAgentCoordinator
from dmpcrl.core.admm import AdmmCoordinator, g_map
from dmpcrl.mpc.mpc_admm import MpcAdmm
from mpcrl import ExperienceReplay, LearnableParameter, LearnableParametersDict, exploration, schedulers

from benchmarks.peer_numbers import Array, Example, Share

DISCOUNT = 0.9
IPOPT = {"expand": True, "print_time": False, "ipopt": {"max_iter": 500, "print_level": 0, "sb": "yes"}}


class Peer:
    """One example in the peer's terms: its coordinator, with agents that have the distributed problems.

    Parameters
    ----------
    example
        The numbers.
    """

    def __init__(self, example: Example) -> None:
        self.example = example
        self._derivatives: dict[tuple[str, bool], Any] = {}
        shares, N = example.shares, example.horizon
        self.n, self.m = (len(array) // len(shares) for array in (example.A, example.B.T))
        central, learned, fixed = Mpc(Nlp(sym_type="SX"), N), LearnableParametersDict(), {}
        central.horizon, cost = N, 0
        states = [central.state(f"{i}:x", self.n)[0] for i in range(len(shares))]
        for i, share in enumerate(shares):
            u, _ = central.action(f"{i}:u", self.m, lb=-share.input_bound, ub=share.input_bound)
            cost += _stated(central, share, f"{i}:", states[i], {j: states[j] for j in share.neighbours}, u, learned)
            fixed[f"{i}:load"] = np.zeros((1, 1))
        central.minimize(cost)
        central.init_solver(IPOPT)
        coupled = np.array([[float(j in share.neighbours) for j in range(len(shares))] for share in shares])
        self.coupling = g_map(coupled)
        local = [self._local(i, share) for i, share in enumerate(shares)]
        length, sample, newest = example.memory
        self.coordinator = LstdQLearningAgentCoordinator(
            central,
            example.every,
            DISCOUNT,
            schedulers.ExponentialScheduler(example.rate, example.decay),
            learned,
            len(shares),
            [mpc for mpc, _ in local],
            [own for _, own in local],
            [{**mpc.fixed_pars_init, "load": np.zeros((1, 1))} for mpc, _ in local],
            self.coupling,
            coupled,
            example.penalty,
            fixed,
            exploration.EpsilonGreedyExploration(schedulers.ExponentialScheduler(*example.explore), example.strength),
            ExperienceReplay(maxlen=length, sample_size=sample, include_latest=newest, seed=0),
            hessian_type="none",
            record_td_errors=True,
            name="peer",
        )
        for agent in (self.coordinator, *self.coordinator.agents):
            agent.reset(0)

    def _local(self, i: int, share: Share) -> tuple[Any, Any]:
        mpc, learned = MpcAdmm(Nlp(sym_type="SX"), self.example.horizon), LearnableParametersDict()
        mpc.rho, mpc.nx_l, mpc.nu_l = self.example.penalty, self.n, self.m
        x, copies = mpc.augmented_state(len(share.neighbours), self.coupling[i].index(i), self.n)
        others = {j: copies[self.n * k : self.n * (k + 1), :] for k, j in enumerate(share.neighbours)}
        u, _ = mpc.action("u", self.m, lb=-share.input_bound, ub=share.input_bound)
        mpc.set_local_cost(_stated(mpc, share, "", x, others, u, learned))
        mpc.init_solver(IPOPT)
        return mpc, learned

    def train(self, steps: int, seed: int = 0) -> dict[str, Any]:
        """Seconds of a training step, the mean over so many between the first input of an episode and its last."""
        plant = _Plant(self.example, steps + 1)
        self.coordinator.train(plant, 1, seed)
        return {"seconds": (plant.instants[-1] - plant.instants[0]) / steps}

    def central(self, states: Sequence[Sequence[float]], loads: Sequence[float]) -> dict[str, Any]:
        """V and its gradient by every agent's parameters, from one program of the whole network."""
        for i, load in enumerate(loads):
            self.coordinator.fixed_parameters[f"{i}:load"] = np.array([[load]])
        found = []
        for state in states:
            _, solution = self.coordinator.state_value(np.array(state)[:, None], True)
            flat = self._gradient(self.coordinator, False, solution)
            agents = range(len(self.example.shares))
            by_agent = [{n.partition(":")[2]: g for n, g in flat.items() if n.startswith(f"{i}:")} for i in agents]
            found.append({"V": solution.f, "V_gradient": by_agent})
        return {"found": found}

    def solve(
        self,
        states: Sequence[Sequence[float]],
        actions: Sequence[Sequence[float]],
        loads: Sequence[float],
        iterations: int = 50,
    ) -> dict[str, Any]:
        """V, Q and their gradients along a trajectory; what the agents agreed on is carried along, as in training.

        "V" holds the terms of the augmented Lagrangian, as the temporal difference does; "V_cost" does not.
        """
        agents = [agent.unwrapped for agent in self.coordinator.agents]
        for agent, load in zip(agents, loads, strict=True):
            agent.fixed_parameters["load"] = np.array([[load]])
        sizes = self.example.horizon, self.n, self.m
        admm = AdmmCoordinator(agents, self.coupling, *sizes, self.example.penalty, iterations)
        found = []
        for state, action in zip(states, actions, strict=True):
            here: dict[str, Any] = {}
            for name, given in (("V", None), ("Q", np.array(action)[:, None])):
                _, solutions, failed = admm.solve_admm(np.array(state)[:, None], given, True)
                if failed:
                    raise RuntimeError("a local program of the peer was not solved")
                pairs = list(zip(agents, solutions, strict=True))
                here[name] = sum(solution.f for solution in solutions)
                here[f"{name}_cost"] = sum(float(s.value(agent.V.own_cost)) for agent, s in pairs)
                here[f"{name}_gradient"] = [self._gradient(agent, given is not None, s) for agent, s in pairs]
            found.append(here)
        return {"found": found}

    def _derivative(self, agent: Any, of_q: bool) -> Any:
        """Of the Lagrangian by the agent's parameters, as an expression; worked out once."""
        key = agent.name, of_q
        if key not in self._derivatives:
            program = agent.Q if of_q else agent.V
            by = cs.vvcat(agent.learnable_parameters.sym.values())
            self._derivatives[key] = NlpSensitivity(program.nlp, by).jacobians["L-p"]
        return self._derivatives[key]

    def _gradient(self, agent: Any, of_q: bool, solution: Any) -> dict[str, Any]:
        flat = np.ravel(solution.value(self._derivative(agent, of_q)))
        parameters = agent.learnable_parameters
        ends = np.cumsum([parameter.size for parameter in parameters.values()])[:-1]
        parts = zip(parameters.items(), np.split(flat, ends), strict=True)
        return {name: part.reshape(parameter.shape, order="F").tolist() for (name, parameter), part in parts}


def _stated(mpc: Any, share: Share, prefix: str, x: Any, others: Mapping[int, Any], u: Any, learned: Any) -> Any:
    """An agent's constraints, put into a program; returns its cost, and adds to the parameters that are learned."""
    N = mpc.prediction_horizon
    block = {name: cs.DM(value) for name, value in share.model.items()}
    for name, start in share.theta.items():
        value = np.reshape(start, (*np.shape(start), 1, 1)[:2])
        block[name] = mpc.parameter(prefix + name, value.shape)
        learned.update([LearnableParameter(prefix + name, value.shape, value, sym=block[name])])
    for name, slopes in share.slopes.items():
        for moved, slope in slopes.items():
            block[moved] += cs.DM(slope) * (block[name] - share.theta[name])
    load, sigma = mpc.parameter(f"{prefix}load"), mpc.variable(f"{prefix}sigma", (len(share.low), N), lb=0.0)[0]
    constant = block["E"] @ load + share.scale * block["b"]
    predicted = block["A"] @ x[:, :N] + block["B"] @ u + cs.repmat(constant, 1, N)
    for j, copy in others.items():
        predicted += block[f"A_ij/{j}"] @ copy[:, :N]
    mpc.constraint(f"{prefix}dynamics", x[:, 1:], "==", predicted)
    bounded = x[list(share.bounded), 1:]
    mpc.constraint(f"{prefix}low", bounded + sigma, ">=", cs.repmat(share.low + block["x_lb"], 1, N))
    mpc.constraint(f"{prefix}high", bounded - sigma, "<=", cs.repmat(share.high + block["x_ub"], 1, N))
    dx, du = x[:, :N] - cs.repmat(share.setpoint @ load, 1, N), u - cs.repmat(share.input_setpoint @ load, 1, N)
    cost = block["V0"]
    for k in range(N):
        weighted = cs.bilin(block["Q"], dx[:, k]) + cs.bilin(block["R"], du[:, k]) + share.price * cs.sum1(sigma[:, k])
        cost += cs.dot(block["f"], cs.vertcat(x[:, k], u[:, k])) + DISCOUNT**k * weighted
    mpc.own_cost = cost
    return cost


class _Plant(gymnasium.Env):
    """The example's plant; it notes when an input arrives."""

    def __init__(self, example: Example, steps: int) -> None:
        self.example, self.steps = example, steps
        self.n, self.m = (len(array) // len(example.shares) for array in (example.A, example.B.T))
        self.instants: list[float] = []
        self.state: Array = example.start[:, None]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self.state, self.instants = self.example.start[:, None], []
        return self.state, {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.instants.append(time.perf_counter())
        given, x, u = self.example, self.state, np.array(action).reshape(-1, 1)
        shares = []
        for i, share in enumerate(given.shares):
            own, inputs = (slice(i * size, (i + 1) * size) for size in (self.n, self.m))
            outside = x[own][list(share.bounded), 0]
            beyond = np.maximum(share.low - outside, 0.0) + np.maximum(outside - share.high, 0.0)
            tracked = x[own].T @ given.Q[own, own] @ x[own] + u[inputs].T @ given.R[inputs, inputs] @ u[inputs]
            shares.append(tracked.item() + share.price * beyond.sum())
        w = self.np_random.uniform(*given.noise, (given.E.shape[1], 1))
        self.state = given.A @ x + given.B @ u + given.E @ w
        return self.state, sum(shares), False, len(self.instants) == self.steps, {"r_dist": shares}
