"""The MPC problem of a network: the local models, a horizon and a discount; and what an evaluation is told."""

from dataclasses import dataclass

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel


@dataclass(frozen=True, eq=False)
class MPCProblem:
    """The MPC problem of a network: one local model an agent, a horizon and a discount.

    Parameters
    ----------
    models
        One :class:`LocalModel` an agent, numbered from zero; keys of `A_ij`, `C_ij`, `G_ij` are these numbers.
    horizon
        Number of stages N >= 1.
    discount
        gamma in (0, 1].
    names
        Agent names for messages; "agent 0", "agent 1", ... where not given.

    Raises
    ------
    ModelError
        A neighbour that does not exist, an agent that couples to itself, a coupling block whose width is not the
        neighbour's state dimension, a horizon or discount out of range.
    """

    models: tuple[LocalModel, ...]
    horizon: int
    discount: float = 1.0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        models = tuple(self.models)
        object.__setattr__(self, "models", models)
        object.__setattr__(self, "names", tuple(self.names) or tuple(f"agent {i}" for i in range(len(models))))
        if not models:
            raise ModelError("an MPC problem needs at least one agent, got none")
        if len(self.names) != len(models) or len(set(self.names)) != len(models):
            raise ModelError(f"{len(models)} agents need as many different names, got {self.names}")
        if isinstance(self.horizon, bool) or int(self.horizon) != self.horizon or self.horizon < 1:
            raise ModelError(f"horizon must be a whole number of at least 1, got {self.horizon!r}")
        object.__setattr__(self, "horizon", int(self.horizon))
        if not 0.0 < self.discount <= 1.0:
            raise ModelError(f"discount must lie in (0, 1], got {self.discount!r}")
        for i, model in enumerate(models):
            self._check_couplings(i, model)

    def _check_couplings(self, i: int, model: LocalModel) -> None:
        for j in model.neighbours:
            if j == i or not 0 <= j < len(self.models):
                raise ModelError(
                    f"{self.names[i]} is coupled to agent {j}: expected one of 0..{len(self.models) - 1} other than {i}"
                )
            n_j = self.models[j].n
            for name, blocks in (("A_ij", model.A_ij), ("C_ij", model.C_ij), ("G_ij", model.G_ij)):
                if j in blocks and blocks[j].shape[1] != n_j:
                    raise ModelError(
                        f"{self.names[i]}: {name}[{j}] has shape {blocks[j].shape}, "
                        f"but {self.names[j]} has {n_j} states"
                    )
            if any(not 0 <= c < n_j for c in model.declared.get(j, ())):
                raise ModelError(
                    f"{self.names[i]}: declared[{j}] = {model.declared[j]} leaves 0..{n_j - 1}, "
                    f"the states of {self.names[j]}"
                )


@dataclass(frozen=True, eq=False)
class AgentData:
    """What one evaluation is told about one agent, besides its model.

    Parameters
    ----------
    state
        (n,): s_i.
    disturbance
        (N, d): known disturbance over the horizon.
    x_setpoint, u_setpoint
        (N + 1, n), (N, m): set points over the horizon.
    previous_input
        (m,): input applied over the last sample, for `du_max`.
    """

    state: Array
    disturbance: Array
    x_setpoint: Array
    u_setpoint: Array
    previous_input: Array
