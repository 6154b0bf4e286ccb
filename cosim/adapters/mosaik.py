"""Simulators for mosaik 3: a plant, and a controller, whose scenario is the closed loop of `simulate` to the last bit.

One of mosaik's steps is World(time_resolution=...) seconds; a sample time is a whole number S of them, found exactly.

    for n = 0, S, 2 S ...                     mosaik's time; k = n / S is the number of the sample, at t_k seconds

      (1) plant, step(n)
            u(k-1)  = what the controllers said last before n          a time-shifted connection; at n = 0 initial data
            x(t_k)  = flow of x(t_{k-1}) under saturate(u(k-1))        exact, edges of disturbances included
          get_data    y(t_k), measured d(t_k), set points, the inputs in effect just before t_k, cost of sample k-1
      (2) controllers that are due, step(n)
            measure what (1) says at the same n                        an ordinary connection: mosaik runs (1) first
          get_data    u(k), said until the next sample of that controller

Both are time-based. Closing the loop by the shift asks for no groups or events, and a controller that samples less
often is heard again at every sample of the plant: held. World.run(until=N S + 1) ends with y(t_N).

    plant = world.start("Plant", plant="dmpcrl_ctrl.plants:power_network", arguments={"scenario": 1}, sample_time=1.0)
    controller = world.start("Controller", controller="mine:controller")
    close_loop(world, plant.Plant(), controller.Controller())

A sample of the plant is an instant of the loop, and a continuous plant is moved from one instant to the next. So the
last bits are those of `simulate` where something samples as often there: take for `sample_time` that of the fastest
controller. With a finer one the two agree to rounding (a nonlinear plant: to its integrator's tolerance).

Another simulator may drive an input instead of a controller: a load, say, that is declared as a control input of the
plant. Connect it in the same way, time-shifted: what it said last before t_k acts from t_{k-1} to t_k.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Block, BlockOptions
from dmpcrl_ctrl.cosim.adapters.driven import Answer, DrivenBlock, DrivenPlant, Sample
from dmpcrl_ctrl.cosim.adapters.factory import made
from dmpcrl_ctrl.cosim.adapters.mosaik_loop import close_loop
from dmpcrl_ctrl.cosim.adapters.mosaik_sampled import COST, Sampled, number
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.cosim.missing import placeholder
from dmpcrl_ctrl.errors import ClockError, WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant

__all__ = ["ControllerSimulator", "PlantSimulator", "close_loop"]


class PlantSimulator(Sampled):
    """A plant for mosaik: `{"Plant": {"python": "dmpcrl_ctrl.cosim.adapters.mosaik:PlantSimulator"}}`.

    Its model is `Plant`, of one entity that is called like the plant. Attributes that take values are the control
    inputs; those that give values are outputs (by the names of the states, too, that they are), disturbances (what is
    measured of them, else zero), set points "<signal>_ref", the control inputs in effect just before the sample, and
    "cost" of the sample before, a list by agent. Its children, of the model `Agent`, are called like the agents and
    have what is the agent's; their "cost" is a number. An input may be told to the plant or to its agent.
    """

    model = "Plant"
    _driven: DrivenPlant
    _sample: Sample | None

    def init(  # type: ignore[override]  # mosaik hands the parameters of World.start on by name
        self,
        sid: str,
        time_resolution: float = 1.0,
        *,
        plant: Plant | str,
        arguments: Mapping[str, Any] | None = None,
        sample_time: Seconds | None = None,
        seed: int = 0,
        held: Mapping[str, float] | None = None,
    ) -> Any:
        """Called by `World.start`.

        Parameters
        ----------
        sid, time_resolution
            From mosaik.
        plant
            A plant, or "module:function" that makes one, which also serves in another process.
        arguments
            Keywords of the function.
        sample_time
            Seconds: a number, or text such as "1/3"; None: a discrete plant's own.
        seed
            Of the noise: that of the run that is to be repeated.
        held
            Control input -> constant, for inputs that nobody drives.

        Raises
        ------
        WiringError
            What cannot be made, is no plant, or has signals that cannot be told apart; an unknown input.
        ClockError
            A sample time that is no whole number of mosaik's steps.
        """
        found = made(f"{sid}: plant", plant, arguments)
        if not isinstance(found, Plant):
            raise WiringError(f"{sid}: plant: expected a Plant or 'module:function', got {type(found).__name__}")
        own = found.sample_time if sample_time is None else sample_time
        if own is None:
            raise ClockError(f"{sid}: sample_time is missing, and {found.name!r} is continuous: it has none of its own")
        self._clocked(sid, own, time_resolution)
        signals = _signals(found)
        attrs = [*signals, *found.input_names, COST]
        self._refuse_cost(attrs[:-1], found.name)
        self._held = dict(held or {})
        for name in self._held:
            if name not in found.input_names:
                raise WiringError(unknown(name, found.input_names, f"{sid}: held: control input"))
        self._driven = DrivenPlant(found, own, signals=signals, seed=seed)
        self._eid, self._sample = found.name, None
        self._children = [f"{a.name}_agent" if a.name == found.name else a.name for a in found.agents]
        self._attrs = {found.name: frozenset(attrs)}
        for eid, agent in zip(self._children, found.agents, strict=True):
            self._attrs[eid] = frozenset(attrs) & {COST, *_names_of(agent, found)}
        self._takes = {eid: named & set(found.input_names) for eid, named in self._attrs.items()}
        self.meta["models"] = {
            "Plant": {"public": True, "params": [], "attrs": attrs},
            "Agent": {"public": False, "params": [], "attrs": attrs},
        }
        return self.meta

    def create(self, num: int, model: str, **model_params: Any) -> list[Any]:
        """The plant, with its agents as children."""
        self._one(num, model)
        driven, agents = self._driven, self._driven.plant.agents
        names = dict(zip((agent.name for agent in agents), self._children, strict=True))
        children = [
            {"eid": names[agent.name], "type": "Agent", "rel": [names[other] for other in agent.neighbours or ()]}
            for agent in agents
        ]
        told = {
            "inputs": [name for name in driven.inputs if name not in self._held],
            "outputs": [*driven.signals, *driven.inputs],
            "sample_time": str(self._sample_time),
        }
        return [{"eid": self._eid, "type": "Plant", "children": children, "extra_info": told}]

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        """The plant at its next sample."""
        what = self._due(time)
        heard = self._heard(inputs, what)
        for name, value in self._held.items():
            if name in heard:
                raise WiringError(f"{what}: {name!r} has two sources, {heard[name][0]} and held: keep one")
            heard[name] = "held", value
        u = np.zeros(len(self._driven.inputs))
        for k, name in enumerate(self._driven.inputs):
            if name not in heard:
                raise WiringError(f"{what}: nothing drives {name!r}; connect it, or start with held={{{name!r}: 0.0}}")
            u[k] = number(what, name, *heard[name])
        if self._sample is None:
            self._sample = self._driven.start(initial_input=dict(zip(self._driven.inputs, u.tolist(), strict=True)))
        else:
            self._sample = self._driven.follow(self._sample, u)
        self._publish(self._sample)
        self._number += 1
        return time + self._ticks

    def _publish(self, sample: Sample) -> None:
        values: dict[str, Any] = dict(zip(self._driven.signals, sample.measurement.tolist(), strict=True))
        values |= zip(self._driven.inputs, sample.applied.tolist(), strict=True)
        costs = sample.cost.tolist()
        shares = {self._eid: costs} | dict(zip(self._children, costs, strict=True))
        for eid, attrs in self._attrs.items():
            self._values[eid] = {name: value for name, value in values.items() if name in attrs} | {COST: shares[eid]}


class ControllerSimulator(Sampled):
    """A controller for mosaik: `{"Controller": {"python": "dmpcrl_ctrl.cosim.adapters.mosaik:ControllerSimulator"}}`.

    Its model is `Controller`, of one entity that is called like the block. Attributes that take values are the signals
    that it measures; also its own outputs, which say what took effect of them (without a connection: what it said), and
    "cost", the plant's, for one that learns. Attributes that give values are its outputs and the numbers of its record,
    such as "status". A cost is that of the plant's last sample: who learns from it samples as often as the plant.
    """

    model = "Controller"

    def init(  # type: ignore[override]  # mosaik hands the parameters of World.start on by name
        self,
        sid: str,
        time_resolution: float = 1.0,
        *,
        controller: Block | str,
        arguments: Mapping[str, Any] | None = None,
        seed: int = 0,
        limits: Mapping[str, tuple[float, float]] | None = None,
    ) -> Any:
        """Called by `World.start`.

        Parameters
        ----------
        sid, time_resolution
            From mosaik.
        controller
            Any block without offset, delay and preview, or "module:function" that makes one.
        arguments
            Keywords of the function.
        seed
            That of the run that is to be repeated.
        limits
            Output -> (lower, upper) of its actuator, where nobody tells what took effect.

        Raises
        ------
        WiringError
            What cannot be made, is no block, or one that only `simulate` can run; a signal called "cost".
        ClockError
            A sample time that is no whole number of mosaik's steps.
        """
        found = made(f"{sid}: controller", controller, arguments)
        if not isinstance(found, Block):
            raise WiringError(f"{sid}: controller: expected a block or 'module:function', got {type(found).__name__}")
        self._driven = driven = DrivenBlock(found, seed=seed, limits=limits)
        self._clocked(sid, driven.sample_time, time_resolution)
        self._eid, self._limits = driven.name, dict(limits or {})
        signals = dict.fromkeys((*driven.inputs, *driven.outputs))
        self._refuse_cost(signals, driven.name)
        fields = BlockOptions.of(found).fields
        self._missing = {f.name: placeholder(f) for f in fields if f.shape == () and f.name not in {*signals, COST}}
        self._takes = {self._eid: frozenset({*signals, COST})}
        self._answer: Answer = driven.start()
        attrs = [*signals, COST, *self._missing]
        self.meta["models"] = {"Controller": {"public": True, "params": [], "attrs": attrs}}
        return self.meta

    def create(self, num: int, model: str, **model_params: Any) -> list[Any]:
        """The controller."""
        self._one(num, model)
        told = {
            "inputs": list(self._driven.inputs),
            "outputs": list(self._driven.outputs),
            "sample_time": str(self._sample_time),
        }
        return [{"eid": self._eid, "type": "Controller", "extra_info": told}]

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        """The controller's next sample."""
        what = self._due(time)
        heard = self._heard(inputs, what)
        for name in self._driven.inputs:
            if name not in heard:
                raise WiringError(f"{what}: nothing tells it {name!r}; connect who offers it")
        cost = self._cost(what, *heard.pop(COST)) if COST in heard else None
        told = {name: number(what, name, *given) for name, given in heard.items()}
        measured = np.array([told[name] for name in self._driven.inputs])
        applied = np.array([told.get(name, self._took(name)) for name in self._driven.outputs])
        self._answer = answer = self._driven.ask(self._answer, measured, applied, cost)
        record = {name: np.asarray(answer.record.get(name, nothing)).item() for name, nothing in self._missing.items()}
        self._values = {self._eid: record | dict(zip(self._driven.outputs, answer.output.tolist(), strict=True))}
        self._number += 1
        return time + self._ticks

    def _took(self, name: str) -> float:
        """What took effect of an output of which nobody tells."""
        lower, upper = self._limits.get(name, (-np.inf, np.inf))
        said = self._answer.output[self._driven.outputs.index(name)]
        return float(np.clip(said, lower, upper))

    def _cost(self, what: str, source: str, given: Any) -> Array:
        each = given if isinstance(given, (list, tuple)) else [given]
        return np.array([number(what, COST, source, share) for share in each])


def _signals(plant: Plant) -> tuple[str, ...]:
    """What a plant tells, besides its control inputs."""
    states = [plant.state_names[k] for k in plant.state_of_output if k is not None]
    every = (*plant.output_names, *states, *plant.disturbance_names, *plant.setpoint_names)
    return tuple(name for name in dict.fromkeys(every) if name not in plant.input_names)


def _names_of(agent: Agent, plant: Plant) -> set[str]:
    """By which signals of an agent go; there may be more names than signals."""
    own = {*agent.states, *agent.inputs, *(agent.disturbances or ())}
    outputs = zip(plant.output_names, plant.state_of_output, strict=True)
    states = {name for name, k in outputs if k is not None and plant.state_names[k] in agent.states}
    return own | states | {f"{name}_ref" for name in own}


def main() -> int:
    """Serve one simulator from a process of its own, as mosaik's "cmd" starts it.

    `{"Plant": {"cmd": "%(python)s -m dmpcrl_ctrl.cosim.adapters.mosaik plant %(addr)s"}}`; "controller" likewise.
    It sees the modules of its current folder. What goes wrong in it mosaik tells in its log only, and ends the run.
    """
    kinds: dict[str, type[Sampled]] = {"plant": PlantSimulator, "controller": ControllerSimulator}
    kind = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if kind not in kinds:
        sys.exit(f"usage: python -m dmpcrl_ctrl.cosim.adapters.mosaik {'|'.join(kinds)} HOST:PORT")
    from mosaik_api_v3 import start_simulation

    return start_simulation(kinds[kind](), f"A {kind} of dmpcrl-ctrl for mosaik.", configure_logging=False)


if __name__ == "__main__":
    sys.exit(main())
