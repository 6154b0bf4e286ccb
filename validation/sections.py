"""The sections of an experiment file: what each may hold, in which range, and what it builds.

Every kind of plant and controller is a class of its own, so that each has its own keys; the first line of its
docstring is what `dmpcrl-ctrl list` prints. Types are strict: "50" is no number, true is no integer, nan is no value.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from dmpcrl_ctrl.controllers.block import Block
    from dmpcrl_ctrl.plants.plant import Plant

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]
Seed = Annotated[int, Field(ge=0)]
BlockName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)]


def _pair(bound: float | list[float]) -> tuple[float, float]:
    """Lower and upper limit: as given, or the same to both sides of zero."""
    low, high = bound if isinstance(bound, list) else (-bound, bound)
    return low, high


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known word that `key` was probably meant to be."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


class Section(BaseModel):
    """A table of an experiment file: strict types, no key that is not known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=10_000)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, table: Any) -> Any:
        for key in table if isinstance(table, dict) else ():
            if key not in cls.model_fields:
                near = nearest(key, cls.model_fields)
                hint = f"did you mean {near}?" if near else "known here: " + ", ".join(cls.model_fields)
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"key": key, "hint": hint})
        return table

    @classmethod
    def line(cls) -> str:
        """The one line that describes this kind in a list."""
        return (cls.__doc__ or "").strip().splitlines()[0].rstrip(".")


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

    def build(self) -> "Plant":
        """Make the plant."""
        from dmpcrl_ctrl.plants import power_network

        limits = self.input_limits
        return power_network(
            cast(Literal[1, 2, 3], self.scenario),
            input_limits=limits if isinstance(limits, str) else {name: _pair(bound) for name, bound in limits.items()},
            load_noise=self.load_noise,
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
    acceleration: Annotated[int, Field(ge=0, le=100)] | None = None
    warm_start: bool = True


class Mpc(Section):
    """What every predictive controller has; a key that is left out is the plant's or the controller's own choice."""

    kind: str
    name: BlockName = "mpc"
    horizon: Annotated[int, Field(ge=1, le=1000)]
    sample_time: Positive = 1.0
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0
    hold: Literal["area", "network"] = "area"
    terminal: Literal["none", "cost", "equality"] = "none"
    soft: bool | None = None
    slack_weight: Positive | None = None
    slack_quadratic: NonNegative | None = None
    solver: Literal["proxqp", "daqp", "piqp"] | None = None
    preview: bool = False
    certify: bool = True
    delay: NonNegative = 0.0
    offset: NonNegative = 0.0

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `for_plant`: everything that has a value, but for the kind."""
        values = {key: getattr(self, key) for key in type(self).model_fields}
        return {key: value for key, value in values.items() if value is not None and key != "kind"}


class DistributedMpc(Mpc):
    """Distributed MPC: one local problem an agent, agreement by consensus ADMM."""

    kind: Literal["distributed_mpc"]
    compare_central: bool = False
    averaging_rounds: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    averaging: Literal["laplacian", "metropolis", "best_constant"] = "laplacian"
    acceleration: Literal["none", "chebyshev", "finite_time"] | None = None
    admm: Admm = Admm()

    def build(self, plant: "Plant") -> "Block":
        """Make the controller of `plant`."""
        from dmpcrl_ctrl.admm import ADMMOptions
        from dmpcrl_ctrl.controllers import DistributedMPC

        return DistributedMPC.for_plant(plant, **{**self.options(), "admm": ADMMOptions(**self.admm.model_dump())})


class CentralizedMpc(Mpc):
    """Centralised MPC: the agents' problem as one quadratic program, or the whole network's (hold = "network")."""

    kind: Literal["centralized_mpc"]

    def build(self, plant: "Plant") -> "Block":
        """Make the controller of `plant`."""
        from dmpcrl_ctrl.controllers import CentralizedMPC

        return CentralizedMPC.for_plant(plant, **self.options())


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
AnyController = DistributedMpc | CentralizedMpc | Lqr

PLANTS: tuple[type[AnyPlant], ...] = (PowerNetwork, RandomPowerNetwork, Chain, QuadrupleTank)
CONTROLLERS: tuple[type[AnyController], ...] = (DistributedMpc, CentralizedMpc, Lqr)


class Experiment(Section):
    """One closed loop: a plant, a controller, perhaps an observer, and how long it runs."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    question: str = ""
    plant: Annotated[AnyPlant, Field(discriminator="kind")]
    controller: Annotated[AnyController, Field(discriminator="kind")]
    observer: Observer | None = None
    simulation: Simulation
