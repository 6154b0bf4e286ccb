"""The distributed model predictive controller as a block: agents that talk, with their memory and options."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Self

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.certificate import AgreedCertificate, Certificate, agreed
from dmpcrl_ctrl.channel import Transport
from dmpcrl_ctrl.consensus import ADMMState
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.controllers.mpc import MPC, MPCState
from dmpcrl_ctrl.controllers.records import admm_fields, admm_record
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Applied
from dmpcrl_ctrl.value import Evaluation, Evaluator

# Agents that are further apart than this share of what they agree on are no start for the next sample.
_APART = 1e-2


class DistributedMPC(MPC):
    """One MPC an agent; the agents agree by ADMM on the states that couple them, and by averaging on the value.

    Parameters
    ----------
    admm
        Iterations, tolerance, penalty, warm start.
    averaging_rounds, averaging, acceleration
        Rounds, weights and acceleration of the averaging behind the agreed numbers, as for
        :class:`~dmpcrl_ctrl.distributed.DistributedEvaluator`; by default exact for at most 400 agents. As published:
        100, "laplacian", "none".
    compare_central
        Also solve the same problem centrally at every step and record the largest difference of the inputs.
    **options
        As for :class:`MPC`.

    Raises
    ------
    NetworkError
        The network is not connected.

    Examples
    --------
    Two integrators, the second fed by the first:

    >>> from dmpcrl_ctrl.model import LocalModel
    >>> first = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])
    >>> second = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]], A_ij={0: [[0.5]]})
    >>> mpc = DistributedMPC(MPCProblem((first, second), horizon=5), sample_time=1.0)
    >>> evaluation = mpc.evaluate([1.0, 0.0])
    >>> evaluation.status.name
    'MAX_ITERATIONS'
    """

    _own: DistributedEvaluator

    def __init__(
        self,
        problem: MPCProblem,
        sample_time: float | Fraction,
        signals: Signals | None = None,
        *,
        admm: ADMMOptions | None = None,
        averaging_rounds: int | None = None,
        averaging: str = "laplacian",
        acceleration: str | None = None,
        compare_central: bool = False,
        **options: Any,
    ) -> None:
        self.admm = ADMMOptions() if admm is None else admm
        self.averaging_rounds, self.averaging, self.acceleration = averaging_rounds, averaging, acceleration
        self.compare_central = compare_central
        self._transport: Transport | None = None
        super().__init__(problem, sample_time, signals, **options)

    @classmethod
    def for_plant(cls, plant: Any, horizon: int, **options: Any) -> Self:
        """A controller for a plant, one MPC an agent, from the plant's own prediction models.

        Parameters
        ----------
        plant, horizon
            As for :meth:`CentralizedMPC.for_plant <dmpcrl_ctrl.controllers.mpc.MPC.for_plant>`.
        **options
            `sample_time`, `discount`, `hold`, `terminal`, `soft`, `slack_weight`, `slack_quadratic`, `Q`, `R`, `adapt`
            as there. `hold` is "area" here: "network" makes one agent of the plant and is left to CentralizedMPC,
            unless the plant has but one. And those of the class: `admm`, `averaging_rounds`, `averaging`,
            `acceleration`, `compare_central`, `name`, `offset`, `delay`, `preview`, `certify`, `solver`.

        Raises
        ------
        ModelError
            `hold="network"` for a plant of several agents; a model that is none.
        """
        if options.get("hold") == "network" and len(plant.agents) > 1:
            raise ModelError('hold="network" makes one agent of the whole plant: use CentralizedMPC, or hold="area"')
        return super().for_plant(plant, horizon, **options)

    @property
    def log_attributes(self) -> dict[str, str | int | float]:
        """How often it certifies and how the agents average, for the log."""
        acceleration, rounds = self._own.averaging.acceleration, self._own.rounds
        return super().log_attributes | {
            "averaging": self.averaging,
            "acceleration": acceleration,
            "averaging_rounds": rounds,
        }

    def with_transport(self, transport: Transport) -> Self:
        """A copy of this controller whose agents' messages `transport` carries."""
        other = copy.copy(self)
        other._transport = transport
        other._own = other._evaluator()
        return other

    @property
    def fields(self) -> tuple[Field, ...]:
        """What each step's record holds."""
        own = admm_fields(self.admm.iterations)
        if self.compare_central:
            own += (Field("central_difference", long_name="largest |u - u of the central solve|"),)
        return super().fields + own

    def init(self, seed: int) -> MPCState:
        """A state with workspaces of its own; nothing in it is random."""
        reference = CentralEvaluator(self.problem) if self.compare_central else None
        return replace(super().init(seed), reference=reference)

    def _evaluator(self) -> DistributedEvaluator:
        return DistributedEvaluator(
            self.problem,
            self.admm,
            self.averaging_rounds,
            self.solver,
            self._transport,
            self.averaging,
            self.acceleration,
        )

    def _next_memory(self, evaluator: Evaluator, evaluation: Evaluation) -> ADMMState | None:
        memory = evaluation.memory
        if not self.admm.warm_start or memory is None:
            return None
        # agents that are far apart are no start: their multipliers would grow from sample to sample
        apart = evaluation.primal_residuals[-1] > _APART * np.abs(memory.z).max(initial=0.0)
        return None if apart else evaluator.shifted(memory)

    def _agreed(self, certificate: Certificate) -> AgreedCertificate:
        return agreed(certificate, self._own.averaging, self._own.rounds, self._transport)

    def _record(self, evaluation: Evaluation, kind: Applied, elapsed: float, before: Array) -> dict[str, Any]:
        return super()._record(evaluation, kind, elapsed, before) | admm_record(evaluation, self.admm.iterations)

    def _compare(
        self, state: MPCState, data: Sequence[AgentData], evaluation: Evaluation, record: dict[str, Any]
    ) -> None:
        if state.reference is None:
            return
        central = state.reference.evaluate(data)
        pairs = zip(evaluation.action, central.action, strict=False)
        gaps = [float(np.abs(mine - theirs).max(initial=0.0)) for mine, theirs in pairs]
        record["central_difference"] = max(gaps) if gaps else float("nan")
