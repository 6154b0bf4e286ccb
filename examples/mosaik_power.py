"""The power network under distributed MPC as a mosaik scenario, beside the native run: python examples/mosaik_power.py

Needs `pip install 'dmpcrl-ctrl[mosaik]'`.
"""

from typing import Any

import mosaik
import mosaik_api_v3
import numpy as np

from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.mosaik import close_loop
from dmpcrl_ctrl.plants import power_network


class Monitor(mosaik_api_v3.Simulator):
    """Any simulator of yours: it keeps what it is told."""

    def __init__(self) -> None:
        model = {"public": True, "any_inputs": True, "params": [], "attrs": []}
        super().__init__({"type": "event-based", "models": {"Monitor": model}})

    def init(self, sid: str, time_resolution: float = 1.0, **params: Any) -> Any:
        """`rows` is a list that takes what comes."""
        self.rows = params["rows"]
        return self.meta

    def create(self, num: int, model: str, **params: Any) -> Any:
        """One entity."""
        return [{"eid": "monitor", "type": model}]

    def step(self, time: int, inputs: Any, max_advance: int) -> None:
        """Called whenever there is news."""
        self.rows.append({name: next(iter(sources.values())) for name, sources in inputs["monitor"].items()})


SIMULATORS: Any = {
    "Plant": {"python": "dmpcrl_ctrl.cosim.adapters.mosaik:PlantSimulator"},
    "Controller": {"python": "dmpcrl_ctrl.cosim.adapters.mosaik:ControllerSimulator"},
    "Monitor": {"python": f"{__name__}:Monitor"},
}


def controller() -> DistributedMPC:
    """One MPC an area."""
    return DistributedMPC.for_plant(power_network(1), 15, sample_time=1.0)


def scenario(samples: int) -> list[dict[str, Any]]:
    """What the plant tells at each sample, 0 to `samples`."""
    rows: list[dict[str, Any]] = []
    with mosaik.World(SIMULATORS, skip_greetings=True, configure_logging=False) as world:
        plant = world.start("Plant", plant=power_network(1), sample_time=1.0).Plant()
        close_loop(world, plant, world.start("Controller", controller=controller()).Controller())
        world.connect(plant, world.start("Monitor", rows=rows).Monitor(), *plant.extra_info["outputs"])
        world.run(until=samples + 1, print_progress=False)
    return rows


def main(samples: int = 30) -> None:
    """Run both and compare them."""
    rows, plant = scenario(samples), power_network(1)
    run = simulate(plant, controller(), t_end=samples)
    print("   t   frequencies of the areas")
    for k in range(0, samples + 1, max(1, samples // 6)):
        print(f"{k:4d} s", *(f"{rows[k][name]:10.6f}" for name in plant.output_names if name.startswith("domega")))
    states = np.array([[row[name] for name in plant.output_names] for row in rows])
    inputs = np.array([[row[name] for name in plant.input_names] for row in rows[1:]])
    difference = max(np.abs(states - run.output[:]).max(), np.abs(inputs - run.input[:]).max())
    print(f"largest difference from the native run: {difference}")


if __name__ == "__main__":
    main()
