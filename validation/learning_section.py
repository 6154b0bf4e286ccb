"""The section [learning] of an experiment: what the controller learns, how, and from where it starts."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dmpcrl_ctrl.validation.section import Bounds, NonNegative, Positive, Section

# fields of a local model, "A_ij" for all blocks on neighbours; weights by a factor; "ties" of power networks
Parameter = Literal[
    "V0", "x_lb", "x_ub", "b", "f", "A", "B", "E", "A_ij", "Q", "R", "P", "slack_weight", "slack_quadratic",
    "u_min", "u_max", "Q/factor", "R/factor", "P/factor", "ties",
]  # fmt: skip
Number = float | list[float] | list[list[float]]
Factor = Annotated[float, Field(gt=0, le=1)]
Whole = Annotated[int, Field(ge=1, le=1_000_000_000)]


class GeometricSection(Section):
    """start factor^u at update u."""

    start: NonNegative
    factor: Factor = 1.0


class ReplaySection(Section):
    """How many transitions are kept, how many an update learns from, how many of these are the newest."""

    capacity: Whole
    batch: Whole
    newest: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.newest <= self.batch <= self.capacity:
            raise PydanticCustomError("replay", "must have newest <= batch <= capacity")
        return self


class ExplorationSection(Section):
    """When and how strongly agents explore."""

    probability: Annotated[float, Field(ge=0, le=1)] | GeometricSection
    strength: NonNegative = 1.0
    distribution: Literal["normal", "uniform"] = "normal"

    @property
    def tries(self) -> bool:
        """Whether anything is tried out at all."""
        start = self.probability.start if isinstance(self.probability, GeometricSection) else self.probability
        return start > 0.0 and self.strength > 0.0


class SetSection(Section):
    """The convex set of a parameter: one of these."""

    semidefinite: NonNegative | None = None
    at_least: float | None = None
    within: Bounds | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.semidefinite, self.at_least, self.within)) != 1:
            raise PydanticCustomError("set", "must have one key of semidefinite, at_least, within")
        if self.within is not None and self.within[0] > self.within[1]:
            raise PydanticCustomError("set", "within: the lower number comes first")
        return self


class EvaluationSection(Section):
    """Episodes on which a training is tried out, before and after; `plant` holds what is otherwise in its plant."""

    episodes: Annotated[int, Field(ge=0, le=100_000)] = 10
    steps: Whole = 100
    plant: dict[str, Any] = Field(default_factory=dict)


class Learning(Section):
    """Distributed learning of the controller's own parameters: Q-learning by `method`, or a policy gradient.

    A policy gradient needs exploration; `replay` and `perturbed_target` are of Q-learning, `ridge` of the gradient.

    `start` is a file of parameters or a table: agent, or "all", then parameter, then its value. `scale` are fields that
    one unit of a parameter moves by so much. Where "A_ij" is learned, every state of every neighbour is shared.
    """

    parameters: Annotated[list[Parameter], Field(min_length=1)]
    scale: dict[str, Positive] = Field(default_factory=dict)
    start: Annotated[str, Field(min_length=1)] | dict[str, dict[str, Number]] = Field(default_factory=dict)
    step_size: NonNegative | GeometricSection
    method: Literal["gradient", "gauss_newton", "policy_gradient"] = "gradient"
    ridge: Positive = 1e-4
    update_every: Whole = 1
    trust: Positive | Literal["none"] = 1e-3
    perturbed_target: bool = False
    replay: ReplaySection | None = None
    exploration: ExplorationSection | None = None
    sets: dict[str, SetSection] = Field(default_factory=dict)
    steps: Whole = 100
    episodes: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    evaluation: EvaluationSection = EvaluationSection()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.parameters:
            if self.parameters.count(name) > 1:
                raise PydanticCustomError("twice", "parameters: {name} stands twice", {"name": name})
        for scaled in self.scale:
            if scaled not in self.parameters or scaled in ("A_ij", "ties") or "/" in scaled:
                raise PydanticCustomError("scale", "scale: {name} is no field that is learned", {"name": scaled})
        if self.method == "policy_gradient":
            if self.exploration is None or not self.exploration.tries:
                raise PydanticCustomError("explores", 'method = "policy_gradient" learns from exploration: give one')
            if self.replay is not None or self.perturbed_target:
                raise PydanticCustomError("replays", 'method = "policy_gradient" has no replay and no perturbed_target')
        return self
