"""An MPC whose policy descends the gradient of its closed-loop cost: a distributed actor and critic around any MPC.

Over K transitions at one theta, with inputs a that explore around pi(s):

    psi_i = (dpi/dtheta_i)'(a - pi(s))                                      from two more evaluations of V
    Q(s, a) ~ V(s) + sum_i v_i'phi_i(s) + sum_i w_i'psi_i                   a critic that is compatible with the policy
    sum_i [ L_i + gamma V_i(s') - V_i(s) ] ~ ( phi(s) - gamma phi(s') )'v + psi'w     fitted by least squares
    theta_i <- Pi_i( theta_i - alpha w_i )                                  the natural gradient is w itself

V is the MPC's own, which knows the bounds; phi, quadratic in the states an agent knows, makes up for what is wrong with
it, as parameters that make a good policy need not make V its value. Temporal differences and the critic's K x K
products are sums over the agents, agreed by averaging; psi, v, w and theta never leave their agent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.learning_block import LearnerState, LearningBlock, Theta, again, same_action
from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.controllers.records import data_record
from dmpcrl_ctrl.critic import critic_weights, cross_products, quadratic_features, root_mean_squares
from dmpcrl_ctrl.errors import EvaluationError, LearningError
from dmpcrl_ctrl.exploration import Exploration, explored
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.plan import Plan
from dmpcrl_ctrl.policy_gradient import policy_pullback
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.projection import Projection
from dmpcrl_ctrl.qlearning import flat, gradient_by_theta, temporal_difference
from dmpcrl_ctrl.value import Evaluation

# exact while the same bounds are active, so that it may be far above the tolerance of solvers
_STEP = 1e-2


@dataclass(frozen=True, eq=False)
class Transition:
    """What is remembered of one transition.

    Attributes
    ----------
    target
        (M,): each agent's belief of L + gamma V(s') - V(s).
    before, after, moves
        phi_i(s), phi_i(s'), psi_i: one array an agent.
    """

    target: Array
    before: tuple[Array, ...]
    after: tuple[Array, ...]
    moves: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class PolicyState(LearnerState):
    """What a block that learns its policy carries from sample to sample.

    Attributes
    ----------
    seen
        Transitions since the last update.
    last
        What the agents knew at the last sample, and V there without exploration.
    """

    seen: tuple[Transition, ...] = ()
    last: tuple[tuple[AgentData, ...], Evaluation] | None = None


class PolicyLearning(LearningBlock):
    """Deterministic policy gradient around an MPC block, distributed or centralised as that block is.

    Parameters
    ----------
    mpc, parametrizations, sets, theta, name
        As for :class:`~dmpcrl_ctrl.controllers.LearningMPC`.
    exploration
        Without it there is nothing to compare the policy with.
    step_size
        alpha by update, or a constant.
    update_every
        K: transitions between two updates, all of which the critic is fitted to. The agents agree on K^2 numbers an
        update.
    ridge
        Of the critic, whose features are scaled to size one: those of V one by one, psi_i as a whole, so that what
        hardly moves the policy stays where it is.
    trust
        Largest relative residual of the optimality conditions at which a transition is learned from; None: all are.
    features
        phi_i, from an agent's plan.

    Raises
    ------
    LearningError
        As for `LearningMPC`; a ridge that is not positive.
    """

    def __init__(
        self,
        mpc: MPC,
        parametrizations: Sequence[Parametrization],
        *,
        exploration: Exploration,
        step_size: float | Callable[[int], float] = 0.1,
        update_every: int = 50,
        ridge: float = 1e-4,
        sets: Mapping[str, Projection] | None = None,
        trust: float | None = 1e-3,
        features: Callable[[Plan], Array] = quadratic_features,
        theta: Sequence[Theta] | None = None,
        name: str = "learning",
    ) -> None:
        super().__init__(mpc, parametrizations, step_size, update_every, exploration, sets, trust, theta, name)
        if not 0.0 < ridge < np.inf:
            raise LearningError(f"ridge must be positive, got {ridge!r}")
        self.ridge = ridge
        self.features = features

    def init(self, seed: int) -> PolicyState:
        """A state with workspaces of its own; what agents draw at random comes from the seed and the sample."""
        return PolicyState(self._workspaces(seed, self.theta), self.theta, seed)

    def restored(self, kept: Mapping[str, Any]) -> PolicyState:
        """As of every learning block; transitions come as mappings."""
        seen = tuple(Transition(**own) for own in kept["seen"])
        return self.resumed(replace(self.init(0), **{**kept, "seen": seen}))

    def step(
        self, state: PolicyState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[PolicyState, Array, dict[str, Any]]:
        """Solve for this sample, look back on the last one, and learn."""
        mpc, evaluator, looked_at = self.mpc, state.mpc.evaluator, state.last
        problem = evaluator.problem
        data = mpc.signals.data(problem, measurement, applied)
        q = self.exploration.costs([model.m for model in problem.models], state.updates, state.seed, tick)
        tried = [explored(d, model, own)[0] for d, model, own in zip(data, problem.models, q, strict=True)]
        after, output, record, found = mpc.solve(state.mpc, tried, applied)
        if any(own.any() for own in q):
            found = evaluator.evaluate(data, memory=again(found))
        state = replace(state, mpc=after, last=(data, found) if self._trusted(found) else None)
        td = np.full(len(data), np.nan)
        if looked_at is not None:
            seen = None if state.last is None else self._seen(state, looked_at, found, applied, cost)
            if seen is None:
                state = replace(state, skipped=state.skipped + 1)
            else:
                td = seen.target
                state = self._learned(state, seen)
        record |= data_record(problem, tried)
        return state, output, record | self._learning_record(state.theta, td, q, state.updates, state.skipped)

    def _seen(
        self,
        state: PolicyState,
        looked_at: tuple[tuple[AgentData, ...], Evaluation],
        now: Evaluation,
        applied: Array,
        cost: Array,
    ) -> Transition | None:
        """The last transition; None where the policy has no derivative there."""
        (data, before), evaluator = looked_at, state.mpc.evaluator
        moves = self._moves(state, data, before, applied)
        shares = temporal_difference(cost, evaluator.problem.discount, now.local_values, before.local_values)
        kinks = np.zeros(len(shares)) if moves is None else moves[1]
        target, changed = evaluator.agreed(np.stack([shares, kinks], axis=1)).T
        if moves is None or (changed > 0.5).any():
            return None
        features = [tuple(map(self.features, found.plans)) for found in (before, now)]
        return Transition(target, features[0], features[1], moves[0])

    def _moves(
        self, state: PolicyState, data: Sequence[AgentData], before: Evaluation, applied: Array
    ) -> tuple[tuple[Array, ...], Array] | None:
        """psi_i, and whether each agent met a kink (M,); None where an evaluation failed."""
        action = self.mpc.signals.split(applied)
        if same_action(action, before.action):
            return tuple(np.zeros(flat(own).size) for own in state.theta), np.zeros(len(data))
        direction = [a - policy for a, policy in zip(action, before.action, strict=True)]
        try:
            pulled = policy_pullback(state.mpc.evaluator, data, direction, again(before), _STEP)
        except EvaluationError:
            return None
        moves = gradient_by_theta(self.parametrizations, state.theta, pulled.gradients)
        return moves, (pulled.changed > 0).astype(float)

    def _learned(self, state: PolicyState, seen: Transition) -> PolicyState:
        """Remember the transition, and update where an update is due; a new theta begins with nothing seen."""
        state = replace(state, seen=(*state.seen, seen), transitions=state.transitions + 1)
        if len(state.seen) < self.update_every:
            return state
        steps = [-self.step_size(state.updates) * w for w in self.natural_gradient(state)]
        theta, mpc = self._moved(state.mpc, state.theta, steps, state.updates)
        return replace(state, mpc=mpc, theta=theta, seen=(), updates=state.updates + 1, last=None)

    def natural_gradient(self, state: PolicyState) -> list[Array]:
        """w_i of the critic that is fitted to what was seen: (p_i,) an agent."""
        discount, shares, parts = state.mpc.evaluator.problem.discount, [], []
        for i in range(len(state.theta)):
            moves = np.array([seen.moves[i] for seen in state.seen])
            before, after = (np.array([getattr(seen, name)[i] for seen in state.seen]) for name in ("before", "after"))
            # one size for all of psi_i: what hardly moves the policy is not blown up
            size = float(np.sqrt((moves**2).sum(axis=1).mean())) or 1.0
            sizes = np.concatenate([root_mean_squares(before), np.full(moves.shape[1], size)])
            rows = np.hstack([before, moves]) / sizes
            ahead = np.hstack([after, np.zeros_like(moves)]) / sizes
            shares.append(cross_products(rows, ahead, discount))
            parts.append((rows, sizes, before.shape[1]))
        believed = state.mpc.evaluator.agreed(np.array(shares))
        found = []
        for i, ((rows, sizes, split), products) in enumerate(zip(parts, believed, strict=True)):
            targets = np.array([seen.target[i] for seen in state.seen])
            found.append((critic_weights(rows, targets, products, self.ridge) / sizes)[split:])
        return found
