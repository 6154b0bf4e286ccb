"""The sections of an experiment file: what each may hold, in which range, and what it builds.

Every kind of plant and controller is a class of its own, so that each has its own keys; the first line of its
docstring is what `dmpcrl-ctrl list` prints. Types are strict: "50" is no number, true is no integer, nan is no value.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dmpcrl_ctrl.validation.learning_section import Learning
from dmpcrl_ctrl.validation.section import BlockName, Bounds, NonNegative, Positive, Section, Seed

if TYPE_CHECKING:
    from dmpcrl_ctrl.controllers.block import Block
    from dmpcrl_ctrl.controllers.mpc import MPC
    from dmpcrl_ctrl.model import LocalModel
    from dmpcrl_ctrl.plants.plant import Plant

    Adapt = Callable[[tuple[LocalModel, ...]], Sequence[LocalModel]]


def _pair(bound: float | list[float]) -> tuple[float, float]:
    """Lower and upper limit: as given, or the same to both sides of zero."""
    low, high = bound if isinstance(bound, list) else (-bound, bound)
    return low, high


class PlantSection(Section):
    """What every plant takes by signal name; a key that is left out is the plant's own choice.

    In a table that is given, signals that it leaves out have initial state 0, weight 0, no price and no rate limit.
    """

    initial_state: dict[str, float] | None = None
    Q: dict[str, NonNegative] | None = None
    R: dict[str, NonNegative] | None = None
    violation_weight: NonNegative | dict[str, NonNegative] | None = None
    rate_limits: dict[str, Positive] | None = None

    def options(self) -> dict[str, Any]:
        """Those of these keys that have a value, as keyword arguments of a plant."""
        values = {key: getattr(self, key) for key in PlantSection.model_fields}
        return {key: value for key, value in values.items() if value is not None}


class PowerNetwork(PlantSection):
    """Hycon2 power network: 4 or 5 areas, load steps, frequency control (scenario = 1, 2 or 3)."""

    kind: Literal["power_network"]
    scenario: Annotated[int, Field(ge=1, le=3)] = 1
    input_limits: Literal["hycon2", "learning"] | dict[str, NonNegative | Bounds] = "hycon2"
    load_noise: NonNegative = 0.0
    tie_cost: NonNegative = 0.0

    def build(self) -> "Plant":
        """Make the plant."""
        from dmpcrl_ctrl.plants import power_network

        limits = self.input_limits
        return power_network(
            cast(Literal[1, 2, 3], self.scenario),
            input_limits=limits if isinstance(limits, str) else {name: _pair(bound) for name, bound in limits.items()},
            load_noise=self.load_noise,
            tie_cost=self.tie_cost,
            **self.options(),
        )


class RandomPowerNetwork(PlantSection):
    """Random power network of any number of areas (topology = ring, path, grid, star or random)."""

    kind: Literal["random_power_network"]
    areas: Annotated[int, Field(ge=1, le=1000)]
    topology: Literal["ring", "path", "grid", "star", "random"] = "ring"
    seed: Seed = 0
    steps: Annotated[int, Field(ge=0, le=1000)] = 1

    def build(self) -> "Plant":
        """Make the plant."""
        from dmpcrl_ctrl.plants import random_power_network

        return random_power_network(
            self.areas, topology=self.topology, seed=self.seed, steps=self.steps, **self.options()
        )


class Chain(PlantSection):
    """Three agents in a chain, two states each, noise against the lower bounds: example 1 of the learning paper."""

    kind: Literal["chain"]
    continuous: bool = False
    noise: bool | Literal["common"] = True
    model: Literal["true", "initial"] = "true"

    def build(self) -> "Plant":
        """Make the plant."""
        from dmpcrl_ctrl.plants import chain

        return chain(continuous=self.continuous, noise=self.noise, model=self.model, **self.options())


class QuadrupleTank(PlantSection):
    """Johansson's four tanks: nonlinear, two pumps, set point steps; linearised for the controller."""

    kind: Literal["quadruple_tank"]
    phase: Literal["minimum", "nonminimum"] = "minimum"

    def build(self) -> "Plant":
        """Make the plant."""
        from dmpcrl_ctrl.plants import quadruple_tank

        return quadruple_tank(self.phase, **self.options())


class Admm(Section):
    """How the agents come to agree."""

    iterations: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    tolerance: Annotated[float, Field(gt=0, lt=1)] | None = None
    penalty: Literal["auto"] | Positive = "auto"
    relaxation: Annotated[float, Field(ge=1, lt=2)] = 1.0
    acceleration: Annotated[int, Field(ge=0, le=160)] | None = None
    warm_start: bool = True


class Mpc(Section):
    """What every predictive controller has; a key that is left out is the plant's or the controller's own choice."""

    kind: str
    name: BlockName = "mpc"
    horizon: Annotated[int, Field(ge=1, le=1000)]
    sample_time: Positive = 1.0
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0
    hold: Literal["area", "network"] = "area"
    terminal: Literal["none", "stage", "cost", "equality"] = "none"
    soft: bool | None = None
    slack_weight: Positive | None = None
    slack_quadratic: NonNegative | None = None
    solver: Literal["proxqp", "daqp", "piqp"] | None = None
    preview: bool = False
    certify: bool | Annotated[int, Field(ge=1)] = True
    delay: NonNegative = 0.0
    offset: NonNegative = 0.0
    parameters: Annotated[str, Field(min_length=1)] | None = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `for_plant`: everything that has a value, but for kind and learned parameters."""
        values = {key: getattr(self, key) for key in type(self).model_fields}
        return {key: value for key, value in values.items() if value is not None and key not in ("kind", "parameters")}

    def model_options(self) -> dict[str, Any]:
        """Those of these that `Plant.local_models` takes besides the sample time and the hold."""
        names = ("terminal", "discount", "soft", "slack_weight", "slack_quadratic")
        return {key: value for key, value in self.options().items() if key in names}

    @abstractmethod
    def build(self, plant: "Plant", adapt: "Adapt | None" = None) -> "MPC":
        """Make the controller of `plant`, with the models that `adapt` makes of the plant's where it is given."""


class DistributedMpc(Mpc):
    """Distributed MPC: one local problem an agent, agreement by consensus ADMM."""

    kind: Literal["distributed_mpc"]
    compare_central: bool = False
    averaging_rounds: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    averaging: Literal["laplacian", "metropolis", "best_constant"] = "laplacian"
    acceleration: Literal["none", "chebyshev", "finite_time"] | None = None
    admm: Admm = Admm()

    def build(self, plant: "Plant", adapt: "Adapt | None" = None) -> "MPC":
        """Make the controller of `plant`."""
        from dmpcrl_ctrl.admm import ADMMOptions
        from dmpcrl_ctrl.controllers import DistributedMPC

        options = {**self.options(), "admm": ADMMOptions(**self.admm.model_dump()), "adapt": adapt}
        return DistributedMPC.for_plant(plant, **options)


class CentralizedMpc(Mpc):
    """Centralised MPC: the agents' problem as one quadratic program, or the whole network's (hold = "network")."""

    kind: Literal["centralized_mpc"]

    def build(self, plant: "Plant", adapt: "Adapt | None" = None) -> "MPC":
        """Make the controller of `plant`."""
        from dmpcrl_ctrl.controllers import CentralizedMPC

        return CentralizedMPC.for_plant(plant, **self.options(), adapt=adapt)


class ScenarioMpc(Section):
    """Scenario MPC: one input for many samples of the noise that the plant does not measure; central or distributed."""

    kind: Literal["scenario_mpc"]
    name: BlockName = "scenario_mpc"
    horizon: Annotated[int, Field(ge=1, le=1000)]
    samples: Annotated[int, Field(ge=1, le=10_000)]
    seed: Seed = 0
    redraw: bool = True
    distributed: bool = False
    input_cost: Literal["each", "once"] = "each"
    sample_time: Positive = 1.0
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0
    hold: Literal["area", "network"] = "area"
    terminal: Literal["none", "stage", "cost"] = "none"
    soft: bool | None = None
    slack_weight: Positive | None = None
    slack_quadratic: NonNegative | None = None
    solver: Literal["proxqp", "daqp", "piqp"] | None = None
    delay: NonNegative = 0.0
    offset: NonNegative = 0.0
    admm: Admm = Admm()

    def build(self, plant: "Plant") -> "Block":
        """Make the controller of `plant`."""
        from dmpcrl_ctrl.admm import ADMMOptions
        from dmpcrl_ctrl.controllers import ScenarioMPC

        values = {key: getattr(self, key) for key in type(self).model_fields}
        options = {key: value for key, value in values.items() if value is not None and key not in ("kind", "admm")}
        return ScenarioMPC.for_plant(plant, **options, admm=ADMMOptions(**self.admm.model_dump()))


class Lqr(Section):
    """Linear-quadratic regulator, saturated: of the whole plant, or each agent by itself (hold = "area")."""

    kind: Literal["lqr"]
    name: BlockName = "lqr"
    sample_time: Positive = 1.0
    hold: Literal["area", "network"] = "network"
    delay: NonNegative = 0.0
    offset: NonNegative = 0.0

    def build(self, plant: "Plant") -> "Block":
        """Make the controller of `plant`."""
        from dmpcrl_ctrl.controllers.lqr import LQR

        return LQR.for_plant(plant, **self.model_dump(exclude={"kind"}))


class Observer(Section):
    """Stationary Kalman filter between the plant's outputs and a controller that asks for states."""

    sample_time: Positive | None = None
    process_noise: Positive = 1.0
    measurement_noise: Positive = 1.0

    def build(self, plant: "Plant", controller: "Block") -> "Block":
        """Make the observer of `plant`; it samples with `controller` unless a sample time is given."""
        from dmpcrl_ctrl.controllers.observer import Observer as ObserverBlock

        return ObserverBlock.for_plant(
            plant,
            sample_time=float(self.sample_time or controller.sample_time),
            offset=getattr(controller, "offset", 0.0) if self.sample_time is None else 0.0,
            process_noise=self.process_noise,
            measurement_noise=self.measurement_noise,
        )


class Simulation(Section):
    """How long, with which seed, and how many points between two samples are kept for the pictures."""

    t_end: Annotated[float, Field(gt=0, le=1e9)]
    seed: Seed = 0
    dense: Annotated[int, Field(ge=0, le=1000)] = 0


AnyPlant = PowerNetwork | RandomPowerNetwork | Chain | QuadrupleTank
AnyController = DistributedMpc | CentralizedMpc | ScenarioMpc | Lqr

PLANTS: tuple[type[AnyPlant], ...] = (PowerNetwork, RandomPowerNetwork, Chain, QuadrupleTank)
CONTROLLERS: tuple[type[AnyController], ...] = (DistributedMpc, CentralizedMpc, ScenarioMpc, Lqr)


class Experiment(Section):
    """One closed loop: a plant, a controller, perhaps an observer, how long it runs, and what the controller learns."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    question: str = ""
    plant: Annotated[AnyPlant, Field(discriminator="kind")]
    controller: Annotated[AnyController, Field(discriminator="kind")]
    observer: Observer | None = None
    learning: Learning | None = None
    simulation: Simulation

    @model_validator(mode="after")
    def _learning_fits(self) -> Self:
        if self.learning is None:
            if getattr(self.controller, "parameters", None) is not None:
                raise _does_not_fit("controller.parameters needs a section [learning] that says what they are")
            return self
        if not isinstance(self.controller, Mpc):
            raise _does_not_fit(f"learning needs a predictive controller, got {self.controller.kind}")
        if self.controller.delay:
            raise _does_not_fit("learning needs a controller without delay: its input would act on a later state")
        if "ties" in self.learning.parameters and self.controller.hold == "network":
            raise _does_not_fit('learning.parameters: "ties" needs controller.hold = "area"')
        try:
            self.evaluation_plant()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(["learning.evaluation.plant", *map(str, first["loc"])])
            raise _does_not_fit(f"{where}: {first['msg']}") from None
        return self

    def evaluation_plant(self) -> AnyPlant:
        """The plant with what [learning.evaluation] says otherwise."""
        changed = {} if self.learning is None else self.learning.evaluation.plant
        return type(self.plant).model_validate({**self.plant.model_dump(exclude_none=True), **changed})


def _does_not_fit(message: str) -> PydanticCustomError:
    return PydanticCustomError("does_not_fit", "{message}", {"message": message})
