"""A mosaik scenario of a plant and its controllers is the closed loop of `simulate`, to the last bit."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import mosaik
import mosaik_api_v3
import numpy as np
import pytest

from dmpcrl_ctrl.controllers import LQR, CentralizedMPC, DistributedMPC, LearningMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.mosaik import close_loop, main
from dmpcrl_ctrl.errors import ClockError, SimulationError, WiringError
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.plants import Plant, Steps, chain, power_network
from dmpcrl_ctrl.status import Status

ADAPTER = "dmpcrl_ctrl.cosim.adapters.mosaik"
Rows = list[tuple[int, dict[str, Any]]]


class Monitor(mosaik_api_v3.Simulator):
    """Somebody else's simulator: keeps what it is told, and when."""

    def __init__(self) -> None:
        model = {"public": True, "any_inputs": True, "params": [], "attrs": []}
        super().__init__({"type": "event-based", "models": {"Monitor": model}})

    def init(self, sid: str, time_resolution: float = 1.0, **params: Any) -> Any:
        self.rows: Rows = params["rows"]
        return self.meta

    def create(self, num: int, model: str, **params: Any) -> Any:
        return [{"eid": "monitor", "type": model}]

    def step(self, time: int, inputs: Any, max_advance: int) -> None:
        told = {name: next(iter(sources.values())) for name, sources in inputs["monitor"].items()}
        self.rows.append((time, told))


class Load(mosaik_api_v3.Simulator):
    """Somebody else's simulator: says the next of its values at each of its steps."""

    def __init__(self) -> None:
        model = {"public": True, "params": [], "attrs": ["load", "again"]}
        super().__init__({"type": "time-based", "models": {"Load": model}})

    def init(self, sid: str, time_resolution: float = 1.0, **params: Any) -> Any:
        self.values, self.every = iter(params["values"]), params.get("every", 1)
        return self.meta

    def create(self, num: int, model: str, **params: Any) -> Any:
        return [{"eid": "load", "type": model}]

    def step(self, time: int, inputs: Any, max_advance: int) -> int:
        self.value = next(self.values)
        return time + self.every

    def get_data(self, outputs: Any) -> Any:
        return {eid: dict.fromkeys(attrs, self.value) for eid, attrs in outputs.items()}


SIMULATORS = {
    "Plant": {"python": f"{ADAPTER}:PlantSimulator"},
    "Controller": {"python": f"{ADAPTER}:ControllerSimulator"},
    "Monitor": {"python": f"{__name__}:Monitor"},
    "Load": {"python": f"{__name__}:Load"},
}


@contextmanager
def quiet_world(time_resolution: float = 1.0, simulators: Any = SIMULATORS) -> Iterator[Any]:
    with mosaik.World(
        simulators,
        {"start_timeout": 120},
        time_resolution=time_resolution,
        skip_greetings=True,
        configure_logging=False,
    ) as world:
        try:
            yield world
        finally:
            if simulators is SIMULATORS:  # after an error in this process mosaik leaves the tasks of others behind
                left = asyncio.all_tasks(world.loop)
                for task in left:
                    task.cancel()
                world.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def run_loop(
    plant: Any, *controllers: Any, until: int, time_resolution: float = 1.0, initial_input: Any = None, **options: Any
) -> Rows:
    """What the plant tells of itself in a scenario with these controllers."""
    rows: Rows = []
    with quiet_world(time_resolution) as world:
        seed = options.get("seed", 0)
        entity = world.start("Plant", plant=plant, **options).Plant()
        others = [world.start("Controller", controller=block, seed=seed).Controller() for block in controllers]
        close_loop(world, entity, *others, initial_input=initial_input)
        watch = world.start("Monitor", rows=rows).Monitor()
        world.connect(entity, watch, *entity.extra_info["outputs"], "cost")
        world.run(until=until, print_progress=False)
    return rows


def require_same(rows: Rows, run: Any, plant: Plant, ticks: int = 1) -> None:
    """The log of the native run, row by row; an input in effect before a sample is that of the row before."""
    assert [time for time, _ in rows] == [k * ticks for k in range(len(run.time))]
    for k, (_, told) in enumerate(rows):
        assert [told[name] for name in plant.output_names] == run.output[k].tolist()
        if k > 0:
            assert [told[name] for name in plant.input_names] == run.input[k - 1].tolist()
            assert told["cost"] == run.cost[k - 1].tolist()
    assert np.ptp(run.output[:], axis=0).max() > 1e-3  # something has happened


def test_the_power_network_under_distributed_mpc() -> None:
    plant = power_network(1)

    def controller() -> DistributedMPC:
        return DistributedMPC.for_plant(plant, 6, sample_time=1.0)

    run = simulate(plant, controller(), t_end=12)
    require_same(run_loop(plant, controller(), until=13, sample_time=1.0), run, plant)


@pytest.mark.parametrize("kind", ["mpc", "lqr", "learning"])
def test_the_chain_with_noise(kind: str) -> None:
    plant = chain()

    def controller() -> Any:
        mpc = CentralizedMPC.for_plant(plant, 5)
        if kind == "mpc":
            return mpc
        if kind == "lqr":
            return LQR.for_plant(plant)
        mine = [Parametrization(model, [Free("b"), Free("V0")]) for model in mpc.problem.models]
        return LearningMPC(mpc, mine, step_size=1e-3)

    run = simulate(plant, controller(), t_end=10, seed=4)
    # four of mosaik's steps in a sample
    require_same(run_loop(plant, controller(), until=41, time_resolution=0.25, seed=4), run, plant, ticks=4)


def pair(make_plant: Any) -> Plant:
    """Two coupled carts in continuous time, one input each, which saturate."""
    A = [[-0.3, 0.2], [0.1, -0.5]]
    plant: Plant = make_plant(
        A, np.eye(2), signals="x y; u v", initial_state=[1.0, -1.0], input_limits={"u": (-0.4, 0.4)}
    )
    return plant


@pytest.mark.parametrize(
    ("sample_time", "resolution", "ticks"), [(0.1, 0.1, 1), ("1/3", 1 / 3, 1), (0.1, 1 / 30, 3), (1 / 3, 1 / 30, 10)]
)
def test_sample_times_that_no_float_holds(
    sample_time: Any, resolution: float, ticks: int, make_plant: Any, make_block: Any
) -> None:
    plant = pair(make_plant)
    loops = [make_block("y x v u", "u v", lambda k, m: [-2.0 * m[1], 0.3 * k - m[0]], sample_time) for _ in range(2)]
    t_end = "7" if ticks in (1, 3) and sample_time == 0.1 else "7/3"
    run = simulate(plant, loops[0], t_end=t_end, initial_input={"u": 3.0, "v": 0.2})
    samples = len(run.time) - 1
    rows = run_loop(
        plant,
        loops[1],
        until=samples * ticks + 1,
        time_resolution=resolution,
        sample_time=sample_time,
        initial_input={"u": 3.0, "v": 0.2},
    )
    require_same(rows, run, plant, ticks)
    assert rows[0][1]["u"] == 0.4
    for native, outside in zip(loops[0].seen, loops[1].seen[:-1], strict=True):  # the scenario has one sample more
        for one, other in zip(native, outside, strict=True):
            assert np.array_equal(one, other)


def test_controllers_of_several_rates_who_read_each_other(make_plant: Any, make_block: Any) -> None:
    plant = pair(make_plant)

    def blocks() -> list[Any]:
        fast = make_block("x u", "u w", lambda k, m: [-1.5 * m[0] + 0.01 * k, 2.0 * m[0] + m[1]], 0.1, name="fast")
        slow = make_block("w y", "v", lambda k, m: [0.3 * m[0] - m[1]], 0.3, name="slow")
        return [fast, slow]

    one, other = blocks(), blocks()
    run = simulate(plant, one, t_end=3, seed=6)
    require_same(run_loop(plant, *other, until=31, time_resolution=0.1, sample_time=0.1, seed=6), run, plant)
    for native, outside in zip(one, other, strict=True):
        assert native.seeds == outside.seeds
        assert len(native.seen) > 9
        for before, after in zip(native.seen, outside.seen, strict=False):
            # the slow one's cost is that of the plant's last sample, and not connected
            for k in range(4 if native.name == "fast" else 3):
                assert np.array_equal(before[k], after[k])


def test_a_controller_that_is_slower_than_the_plant(make_plant: Any, make_block: Any) -> None:
    """Exact where something samples as often as the plant, or where the plant is discrete; else to rounding."""
    noisy = chain()
    slow = [make_block("x1_1 x1_2", "u_1 u_2 u_3", lambda k, m: [-m[0], -m[1], 0.1 * k], 2.0) for _ in range(2)]
    run = simulate(noisy, slow[0], t_end=10, seed=2)
    rows = run_loop(noisy, slow[1], until=11, seed=2)
    assert [[told[name] for name in noisy.output_names] for _, told in rows[::2]] == run.output[:].tolist()

    plant = pair(make_plant)
    slow = [make_block("x", "u v", lambda k, m: [-m[0], 0.1 * k], 0.3) for _ in range(3)]
    clock = make_block("x", "", lambda k, m: [], 0.1, name="clock")
    watched, alone = (simulate(plant, who, t_end=3) for who in ([slow[0], clock], slow[1]))
    rows = run_loop(plant, slow[2], until=31, time_resolution=0.1, sample_time=0.1)
    require_same(rows, watched, plant)
    states = np.array([[told["x"], told["y"]] for _, told in rows[::3]])
    np.testing.assert_allclose(states, alone.output[:], rtol=0, atol=1e-14)


def test_a_load_from_another_simulator_is_an_input(make_plant: Any) -> None:
    """What it says at a sample acts until the next, like a disturbance of the same values."""
    loads = [0.5, -0.25, 0.125, 1.0, 0.75]
    told = Plant(
        pair(make_plant).system,
        initial_state=[1.0, -1.0],
        disturbances={"v": Steps((0, 1, 2, 3, 4), tuple(loads))},
        name="plant",
    )
    run = simulate(told, LQR.for_plant(told, sample_time=1.0), t_end=5)
    plant = Plant(pair(make_plant).system, initial_state=[1.0, -1.0], name="plant")
    rows: Rows = []
    with quiet_world() as world:
        entity = world.start("Plant", plant=plant, sample_time=1.0).Plant()
        controller = world.start("Controller", controller=LQR.for_plant(told, sample_time=1.0)).Controller()
        close_loop(world, entity, controller)
        load = world.start("Load", values=[*loads, 0.0]).Load()
        world.connect(load, entity, ("load", "v"), time_shifted=True, initial_data={"load": 0.0})
        watch = world.start("Monitor", rows=rows).Monitor()
        world.connect(entity, watch, "x", "y", "v")
        world.connect(controller, watch, "status")
        world.run(until=6, print_progress=False)
    assert [told["v"] for _, told in rows] == [0.0, *loads]
    assert [told["status"] for _, told in rows] == [Status.OPTIMAL] * 6
    states = np.array([[told["x"], told["y"]] for _, told in rows])
    np.testing.assert_allclose(states, run.state[:], rtol=0, atol=1e-14)


def test_agents_are_entities_of_their_own() -> None:
    """An agent's signals and share of the cost, and its input, from whoever is connected with it."""
    plant = chain(noise=False, initial_state=[0.5, 0.1, 0.5, 0.2, 0.5, 0.3])
    by_agents: Rows = []
    with quiet_world() as world:
        entity = world.start("Plant", plant=plant, held={"u_3": 0.1}).Plant()
        agents = [child for child in entity.children if child.type == "Agent"]
        assert [agent.eid for agent in agents] == [agent.name for agent in plant.agents]
        load = world.start("Load", values=[0.1] * 9).Load()
        for k in (1, 2):
            world.connect(load, agents[k - 1], ("load", f"u_{k}"), time_shifted=True, initial_data={"load": 0.1})
        watch = world.start("Monitor", rows=by_agents).Monitor()
        for k in (1, 2, 3):
            world.connect(agents[k - 1], watch, f"x1_{k}", f"u_{k}", ("cost", f"cost_{k}"))
        graph = world.entity_graph
        assert graph.has_edge(agents[0].full_id, agents[1].full_id)
        assert not graph.has_edge(agents[0].full_id, agents[2].full_id)
        world.run(until=4, print_progress=False)

    class Constant:
        sample_time, inputs, outputs = 1.0, (), ("u_1", "u_2", "u_3")

        def init(self, seed: int) -> None: ...

        def step(self, *told: Any) -> Any:
            return None, np.full(3, 0.1), {}

    run = simulate(plant, Constant(), t_end=3, initial_input=dict.fromkeys(plant.input_names, 0.1))
    for k, (_, told) in enumerate(by_agents):
        assert [told[f"x1_{i}"] for i in (1, 2, 3)] == run.output[k][::2].tolist()
        assert [told[f"u_{i}"] for i in (1, 2, 3)] == [0.1] * 3
        if k:
            assert [told[f"cost_{i}"] for i in (1, 2, 3)] == run.cost[k - 1].tolist()


def test_each_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dmpcrl_ctrl.controllers import LQR\nfrom dmpcrl_ctrl.plants import chain\n"
        "def regulator(noise): return LQR.for_plant(chain(noise=noise))\n",
        encoding="utf-8",
    )
    # the checkout may be found by the current folder alone
    path = {"PYTHONPATH": ":".join(str(Path(each).resolve()) for each in sys.path if each)}
    command = f"%(python)s -m {ADAPTER}"
    simulators = SIMULATORS | {
        "Plant": {"cmd": f"{command} plant %(addr)s", "env": path},
        "Controller": {"cmd": f"{command} controller %(addr)s", "env": path, "cwd": str(tmp_path)},
    }
    rows: Rows = []
    with quiet_world(simulators=simulators) as world:
        plant = world.start("Plant", plant="dmpcrl_ctrl.plants:chain", arguments={"noise": True}, seed=5).Plant()
        block = world.start("Controller", controller="mine:regulator", arguments={"noise": True}, seed=5).Controller()
        close_loop(world, plant, block)
        watch = world.start("Monitor", rows=rows).Monitor()
        world.connect(plant, watch, *plant.extra_info["outputs"], "cost")
        world.run(until=6, print_progress=False)
    require_same(rows, simulate(chain(), LQR.for_plant(chain()), t_end=5, seed=5), chain())


@pytest.mark.parametrize(
    ("simulator", "parameters", "error", "message"),
    [
        ("Plant", {"plant": 3}, WiringError, "Plant-0: plant: expected a Plant or 'module:function', got int"),
        ("Plant", {"plant": "dmpcrl_ctrl.plants:chian"}, WiringError, "Plant-0: plant: .*'chian'.*mean 'chain'"),
        (
            "Plant",
            {"plant": power_network(1)},
            ClockError,
            "Plant-0: sample_time is missing, and 'power_network' is cont",
        ),
        (
            "Plant",
            {"plant": chain(), "sample_time": 2.5},
            ClockError,
            "Plant-0: its sample time 5/2 s is no whole number",
        ),
        ("Plant", {"plant": chain(), "held": {"u1": 0.0}}, WiringError, "held: control input 'u1' .*mean 'u_1'"),
        ("Controller", {"controller": chain()}, WiringError, "Controller-0: controller: expected a block .* got Plant"),
    ],
)
def test_what_cannot_be_started(simulator: str, parameters: Any, error: type[Exception], message: str) -> None:
    with quiet_world() as world, pytest.raises(error, match=message):
        world.start(simulator, **parameters)


def test_a_signal_called_cost(make_plant: Any) -> None:
    plant = make_plant([[-1.0]], [[1.0]], signals="cost; u")
    with quiet_world() as world, pytest.raises(WiringError, match="Plant-0: a signal of 'plant' is called 'cost'"):
        world.start("Plant", plant=plant, sample_time=1.0)


def test_one_entity_a_simulator() -> None:
    with quiet_world() as world, pytest.raises(WiringError, match="Plant-0: it has one Plant; start another simulator"):
        world.start("Plant", plant=chain()).Plant.create(2)


def driven_chain(world: Any, values: list[Any], *inputs: str) -> Any:
    """The chain with some inputs driven by a load."""
    entity = world.start("Plant", plant=chain(), held={"u_3": 0.0}).Plant()
    load = world.start("Load", values=values).Load()
    for name in inputs:
        world.connect(load, entity, ("load", name), time_shifted=True, initial_data={"load": 0.0})
    return entity, load


def test_a_value_that_is_no_number() -> None:
    with quiet_world() as world:
        driven_chain(world, [0.0, float("nan"), 0.0], "u_1", "u_2")
        with pytest.raises(
            SimulationError, match="t = 2 s: Plant-0.chain: 'u_1' is nan from Load-0.load, expected a fin"
        ):
            world.run(until=4, print_progress=False)


def test_an_input_that_nobody_drives() -> None:
    with quiet_world() as world:
        driven_chain(world, [0.0] * 9, "u_1")
        with pytest.raises(
            WiringError, match="t = 0 s: Plant-0.chain: nothing drives 'u_2'; connect it, or start with"
        ):
            world.run(until=4, print_progress=False)


def test_an_input_that_several_drive() -> None:
    with quiet_world() as world:
        plant, _ = driven_chain(world, [0.0] * 9, "u_1", "u_2")
        other = world.start("Load", values=[0.0] * 9).Load()
        world.connect(other, plant, ("load", "u_2"), time_shifted=True, initial_data={"load": 0.0})
        with pytest.raises(
            WiringError, match="Plant-0.chain: 'u_2' has two sources, Load-. *.load and Load-..load: keep"
        ):
            world.run(until=4, print_progress=False)


def test_an_input_that_is_held_and_driven() -> None:
    with quiet_world() as world:
        driven_chain(world, [0.0] * 9, "u_1", "u_2", "u_3")
        with pytest.raises(WiringError, match="'u_3' has two sources, Load-0.load and held"):
            world.run(until=4, print_progress=False)


def test_a_signal_that_is_no_input_or_no_output_of_an_entity() -> None:
    with quiet_world() as world:
        plant, load = driven_chain(world, [0.0] * 9, "u_1", "u_2")
        world.connect(load, plant.children[0], ("load", "u_2"), time_shifted=True, initial_data={"load": 0.0})
        with pytest.raises(WiringError, match="Plant-0.agent_1: input 'u_2' does not exist; did you mean 'u_1'"):
            world.run(until=4, print_progress=False)
    with quiet_world() as world:
        plant, load = driven_chain(world, [0.0] * 9, "u_1", "u_2")
        watch = world.start("Monitor", rows=[]).Monitor()
        world.connect(plant.children[0], watch, "x1_2")
        with pytest.raises(WiringError, match="Plant-0.agent_1: output 'x1_2' does not exist"):
            world.run(until=4, print_progress=False)


def test_a_measurement_that_nobody_tells() -> None:
    with quiet_world() as world:
        controller = world.start("Controller", controller=LQR.for_plant(chain())).Controller()
        assert controller.eid == "lqr"
        with pytest.raises(WiringError, match="t = 0 s: Controller-0.lqr: nothing tells it 'x1_1'"):
            world.run(until=2, print_progress=False)


def test_without_a_word_what_was_said_took_effect_within_its_limits(make_block: Any) -> None:
    block = make_block("", "u v", lambda k, m: [1.0, 2.0])
    with quiet_world() as world:
        controller = world.start("Controller", controller=block, limits={"v": (0.0, 0.5)}).Controller()
        load = world.start("Load", values=[3.0, 4.0]).Load()
        world.connect(load, controller, ("load", "cost"))
        world.run(until=2, print_progress=False)
    assert [applied.tolist() for _, _, applied, _ in block.seen] == [[0.0, 0.0], [1.0, 0.5]]
    assert [cost.tolist() for *_, cost in block.seen] == [[3.0], [4.0]]


def test_a_process_of_its_own_has_to_be_told_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mosaik", "plnat", "localhost:1"])
    with pytest.raises(
        SystemExit, match="usage: python -m dmpcrl_ctrl.cosim.adapters.mosaik plant|controller HOST:PORT"
    ):
        main()


def test_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_from_file_location("mosaik_power", Path(__file__).parents[3] / "examples" / "mosaik_power.py")
    assert spec is not None and spec.loader is not None
    script = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mosaik_power", script)  # as a script it is __main__, and mosaik finds its Monitor
    spec.loader.exec_module(script)
    script.main(6)
    *table, last = capsys.readouterr().out.splitlines()
    assert last == "largest difference from the native run: 0.0"
    assert len(table) == 8 and any(float(number) for number in table[-1].split()[2:])
