"""An MPC that learns while it controls: distributed Q-learning around any MPC block.

At sample t, with theta current:

    Q(s_{t-1}, a_{t-1}) and its gradient, where a is the input that was applied
    V(s_t), which gives a_t
    delta = L_{t-1} + gamma V(s_t) - Q(s_{t-1}, a_{t-1}), agreed by averaging; delta and grad Q are remembered
    every so often  theta_i <- Pi_i( theta_i + d_i ),     d_i = alpha mean_batch( delta grad_i Q ), or Gauss-Newton's

Every agent learns from its own share of the Lagrangian and its own belief of delta. What a certificate does not vouch
for is not learned from, and counted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.learning_block import LearnerState, LearningBlock, Theta, again, same_action
from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.controllers.records import data_record
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.exploration import Exploration, explored
from dmpcrl_ctrl.gauss_newton import explained, gauss_newton_step, inner_products
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.projection import Projection
from dmpcrl_ctrl.qlearning import flat, gradient_by_theta, gradient_step, temporal_difference
from dmpcrl_ctrl.replay import Replay
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.value import Evaluation

__all__ = ["Asked", "LearningMPC", "LearningState", "Theta"]


@dataclass(frozen=True, eq=False)
class Asked:
    """The last evaluation of V, which the next temporal difference looks back on.

    Attributes
    ----------
    data
        What the agents knew, without exploration.
    found
        The evaluation of V that gave the input, with exploration.
    theta
        At which it was made.
    """

    data: tuple[AgentData, ...]
    found: Evaluation
    theta: tuple[Theta, ...]


@dataclass(frozen=True, eq=False)
class LearningState(LearnerState):
    """What a learning block carries from sample to sample.

    Attributes
    ----------
    deltas, gradients
        (K,) and (K, p_i) an agent: its belief of the remembered temporal differences, and grad_i Q of each at its time.
    last
        The evaluation before this one.
    """

    deltas: tuple[Array, ...] = field(kw_only=True)
    gradients: tuple[Array, ...] = field(kw_only=True)
    last: Asked | None = None


class LearningMPC(LearningBlock):
    """Q-learning around an MPC block, distributed or centralised as that block is.

    Parameters
    ----------
    mpc
        The block: its evaluator, iterations and signals are used, its models only where no parametrization moves them.
    parametrizations
        One an agent: theta -> LocalModel.
    step_size
        alpha by update, or a constant.
    method
        "gradient": the published update, of first order. "gauss_newton": of second order, see
        :mod:`dmpcrl_ctrl.gauss_newton`, which bears far larger steps. With a batch of K the agents agree on
        K (K + 1) / 2 more numbers an update, and on one more for each transition that is remembered.
    update_every
        Transitions between two updates.
    replay, exploration
        What is remembered; how inputs are tried out.
    sets
        Convex sets of parameters; see :func:`~dmpcrl_ctrl.projection.projected`.
    trust
        Largest relative residual of the optimality conditions at which a gradient is learned from; None: all are.
    perturbed_target
        Whether V(s') in the temporal difference is that of the exploring program, as published; it is biased then. By
        default V is evaluated once more without exploration.
    theta
        Where to start; the parametrizations' own where None.

    Raises
    ------
    LearningError
        Parametrizations that do not belong to the block's agents; a number out of its range.
    """

    def __init__(
        self,
        mpc: MPC,
        parametrizations: Sequence[Parametrization],
        *,
        step_size: float | Callable[[int], float] = 1e-4,
        method: Literal["gradient", "gauss_newton"] = "gradient",
        update_every: int = 1,
        replay: Replay | None = None,
        exploration: Exploration | None = None,
        sets: Mapping[str, Projection] | None = None,
        trust: float | None = 1e-3,
        perturbed_target: bool = False,
        theta: Sequence[Theta] | None = None,
        name: str = "learning",
    ) -> None:
        if method not in ("gradient", "gauss_newton"):
            raise LearningError(f"method of learning is 'gradient' or 'gauss_newton', got {method!r}")
        never = Exploration(Geometric(0.0))
        explores = never if exploration is None else exploration
        super().__init__(mpc, parametrizations, step_size, update_every, explores, sets, trust, theta, name)
        self.method = method
        self.replay = Replay() if replay is None else replay
        self.perturbed_target = perturbed_target

    def init(self, seed: int) -> LearningState:
        """A state with workspaces of its own; what agents draw at random comes from the seed and the sample."""
        gradients = tuple(np.zeros((0, flat(own).size)) for own in self.theta)
        deltas = tuple(np.zeros(0) for _ in self.theta)
        return LearningState(self._workspaces(seed, self.theta), self.theta, seed, deltas=deltas, gradients=gradients)

    def step(
        self, state: LearningState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[LearningState, Array, dict[str, Any]]:
        """Look back on the last sample, solve for this one, and learn."""
        mpc, problem = self.mpc, state.mpc.evaluator.problem
        looked_back = None if state.last is None else self._looked_back(state, state.last, applied)
        data = mpc.signals.data(problem, measurement, applied)
        q = self.exploration.costs([model.m for model in problem.models], state.updates, state.seed, tick)
        tried = [explored(d, model, own) for d, model, own in zip(data, problem.models, q, strict=True)]
        after, output, record, found = mpc.solve(state.mpc, [d for d, _ in tried], applied)
        values = found.local_values + [lacking for _, lacking in tried]
        if any(own.any() for own in q) and not self.perturbed_target:
            values = state.mpc.evaluator.evaluate(data, memory=again(found)).local_values
        last = Asked(data, found, state.theta) if found.status.ok else None
        state = replace(state, mpc=after, last=last)
        td = np.full(len(data), np.nan)
        if looked_back is not None:
            trusted = np.isfinite(values).all() and self._trusted(looked_back)
            if trusted:
                shares = temporal_difference(cost, problem.discount, values, looked_back.local_values)
                td = state.mpc.evaluator.agreed(shares)
                state = self._learned(state, td, looked_back)
            else:
                state = replace(state, skipped=state.skipped + 1)
        record |= data_record(problem, [d for d, _ in tried])
        return state, output, record | self._learning_record(state.theta, td, q, state.updates, state.skipped)

    def _looked_back(self, state: LearningState, last: Asked, applied: Array) -> Evaluation:
        """Q(s, a) of the last sample: V's own solution, where its input was applied and theta has not moved since.

        At a kink, where states rest on their bounds, Q has many multipliers, and V's are chosen.
        """
        action = self.mpc.signals.split(applied)
        if last.theta is state.theta and same_action(action, last.found.action):
            return last.found.at_policy(last.data)
        return state.mpc.evaluator.evaluate(last.data, action, again(last.found))

    def _learned(self, state: LearningState, td: Array, looked_back: Evaluation) -> LearningState:
        """Remember the transition, and update where an update is due."""
        newest = gradient_by_theta(self.parametrizations, state.theta, looked_back.own_gradient)
        keep = self.replay.remembered
        deltas = tuple(keep(before, own) for before, own in zip(state.deltas, td, strict=True))
        gradients = tuple(keep(before, own) for before, own in zip(state.gradients, newest, strict=True))
        state = replace(state, deltas=deltas, gradients=gradients, transitions=state.transitions + 1)
        return state if state.transitions % self.update_every else self._updated(state)

    def _updated(self, state: LearningState) -> LearningState:
        theta, mpc = self._moved(state.mpc, state.theta, self._steps(state), state.updates)
        deltas = state.deltas if self.method == "gradient" else self._followed(state, theta)
        return replace(state, theta=theta, deltas=deltas, updates=state.updates + 1, mpc=mpc)

    def _steps(self, state: LearningState) -> list[Array]:
        """Each agent's step, before its parameters are put back into their sets."""
        batch = self.replay.chosen(len(state.deltas[0]), state.seed, state.updates)
        chosen = [(d[batch], g[batch]) for d, g in zip(state.deltas, state.gradients, strict=True)]
        alpha = self.step_size(state.updates)
        if self.method == "gradient":
            return [gradient_step(deltas, gradients, alpha) for deltas, gradients in chosen]
        shares = np.array([inner_products(gradients) for _, gradients in chosen])
        believed = state.mpc.evaluator.agreed(shares)
        return [gauss_newton_step(*own, products, alpha) for own, products in zip(chosen, believed, strict=True)]

    def _followed(self, state: LearningState, theta: Sequence[Theta]) -> tuple[Array, ...]:
        """What is left of the remembered temporal differences after the step that was taken."""
        parts = zip(state.gradients, state.theta, theta, strict=True)
        shares = [explained(own, flat(after) - flat(before)) for own, before, after in parts]
        believed = state.mpc.evaluator.agreed(np.array(shares))
        return tuple(own - known for own, known in zip(state.deltas, believed, strict=True))
