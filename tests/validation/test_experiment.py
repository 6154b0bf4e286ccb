"""Experiment files: what is right is kept, what is wrong is named with file, line and key."""

from pathlib import Path

import pytest

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.experiment import Override, experiment_text, load_experiment, parse_experiment
from dmpcrl_ctrl.validation.runner import blocks_of
from dmpcrl_ctrl.validation.sections import Chain, DistributedMpc, PowerNetwork

FILES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.toml"))
EXAMPLES = [path for path in FILES if not path.stem.endswith("campaign")]
TEXT = """\
title = "A test"

[plant]
kind = "power_network"
scenario = 1

[controller]
kind = "distributed_mpc"
horizon = 15

[controller.admm]
iterations = 50

[simulation]
t_end = 100.0
"""


def fault(text: str, *sets: str) -> str:
    with pytest.raises(ExperimentError) as caught:
        parse_experiment(text, "e.toml", [Override.read(one) for one in sets])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_experiment_is_read() -> None:
    experiment = parse_experiment(TEXT, "e.toml")
    assert isinstance(experiment.plant, PowerNetwork)
    assert isinstance(experiment.controller, DistributedMpc)
    assert experiment.plant.scenario == 1
    assert experiment.controller.admm.iterations == 50
    assert experiment.simulation.seed == 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_text_with_every_default_is_the_same_experiment(path: Path) -> None:
    experiment = load_experiment(path)
    assert parse_experiment(experiment_text(experiment), "again") == experiment


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_plant_and_the_controller_of_every_example_can_be_built(path: Path) -> None:
    experiment = load_experiment(path)
    plant = experiment.plant.build()
    *_, controller = blocks_of(experiment, plant)
    assert set(controller.outputs) == set(plant.input_names)
    assert controller.sample_time == experiment.controller.sample_time


def test_tables_by_signal_name_are_kept_in_the_text_of_the_experiment() -> None:
    sets = ["plant.input_limits={dPref_1=0.2, dPref_2=[-0.1, 0.3]}", "plant.initial_state.dtheta_1=0.05"]
    experiment = parse_experiment(TEXT, "e.toml", [Override.read(text) for text in (*sets, "plant.Q={domega_1=2}")])
    assert isinstance(experiment.plant, PowerNetwork)
    assert experiment.plant.input_limits == {"dPref_1": 0.2, "dPref_2": [-0.1, 0.3]}
    assert parse_experiment(experiment_text(experiment), "again") == experiment


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("plant.initial_state={dtheta_1=nan}", "--set plant.initial_state: plant.initial_state.dtheta_1 must be a fin"),
        ("plant.initial_state=[1.0]", "--set plant.initial_state: plant.initial_state must be a table, got a list"),
        ("plant.Q={dtheta_1=-1.0}", "--set plant.Q: plant.Q.dtheta_1 must be greater than or equal to 0, got -1.0"),
        ("plant.rate_limits={dPref_1=0}", "--set plant.rate_limits: plant.rate_limits.dPref_1 must be greater than 0"),
        (
            "plant.input_limits={dPref_1=[1.0]}",
            "--set plant.input_limits: plant.input_limits.dPref_1 must be a valid number or a list of a lower and an "
            "upper limit, got a list",
        ),
        ('plant.input_limits="none"', "--set plant.input_limits: plant.input_limits must be 'hycon2' or 'learning'"),
        ("controller.averaging_rounds=-1", "--set controller.averaging_rounds: controller.averaging_rounds must be gr"),
    ],
)
def test_a_fault_in_such_a_table_is_named(setting: str, message: str) -> None:
    assert fault(TEXT, setting).startswith(message)


def test_set_changes_one_key_and_makes_tables() -> None:
    sets = [Override.read(text) for text in ("plant.scenario=2", "observer.process_noise=0.5", "simulation.seed = 7")]
    experiment = parse_experiment(TEXT, "e.toml", sets)
    assert isinstance(experiment.plant, PowerNetwork)
    assert experiment.plant.scenario == 2
    assert experiment.observer is not None
    assert experiment.observer.process_noise == 0.5
    assert experiment.simulation.seed == 7


def test_a_whole_table_can_be_set() -> None:
    experiment = parse_experiment(TEXT, "e.toml", [Override.read('plant={kind="chain", noise="common"}')])
    assert isinstance(experiment.plant, Chain)
    assert experiment.plant.noise == "common"


def test_the_seed_of_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(TEXT + "seed = 3\n", encoding="utf-8")
    assert load_experiment(path).simulation.seed == 3
    assert load_experiment(path, seed=4).simulation.seed == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scenario", "scenari", "e.toml:5: unknown key plant.scenari; did you mean scenario?"),
        ("horizon", "horizn", "e.toml:9: unknown key controller.horizn; did you mean horizon?"),
        ("[simulation]", "[simulatoin]", "e.toml:14: unknown key simulatoin; did you mean simulation?"),
        ("iterations", "speed", "e.toml:12: unknown key controller.admm.speed; known here: iterations, tolerance"),
        ("power_network", "power_netwerk", 'e.toml:4: plant.kind "power_netwerk" is unknown; did you mean power_'),
        (
            "power_network",
            "mine.py:plant",
            'e.toml:4: plant.kind "mine.py:plant" is unknown; known: power_network, random_power_network, chain, '
            "quadruple_tank; one of your own comes in from Python, see simulate and jobs_of",
        ),
        ('kind = "power_network"\n', "", "e.toml:3: plant.kind is missing"),
        ("horizon = 15\n", "", "e.toml:7: controller.horizon is missing"),
        ("scenario = 1", "scenario = 4", "e.toml:5: plant.scenario must be less than or equal to 3, got 4"),
        ("scenario = 1", "scenario = true", "e.toml:5: plant.scenario must be a valid integer, got true"),
        ("scenario = 1", "scenario = 1.0", "e.toml:5: plant.scenario must be a valid integer, got 1.0"),
        ("= 50", '= "50"', 'e.toml:12: controller.admm.iterations must be a valid integer, got "50"'),
        ("= 50", "= 0", "e.toml:12: controller.admm.iterations must be greater than or equal to 1, got 0"),
        ("100.0", "nan", "e.toml:15: simulation.t_end must be a finite number, got nan"),
        ("100.0", "-inf", "e.toml:15: simulation.t_end must be a finite number, got -inf"),
        ("100.0", "1e400", "e.toml:15: simulation.t_end must be a finite number, got inf"),
        ("100.0", "true", "e.toml:15: simulation.t_end must be a valid number, got true"),
        ("100.0", "0.0", "e.toml:15: simulation.t_end must be greater than 0, got 0.0"),
        ("100.0", "2026-01-01", "e.toml:15: simulation.t_end must be a valid number, got 2026-01-01"),
        ('title = "A test"', "title = 1", "e.toml:1: title must be a valid string, got 1"),
        ('title = "A test"', 'title = ""', 'e.toml:1: title must not be empty, got ""'),
        ("= 50", "= 50\npenalty = 0", "e.toml:13: controller.admm.penalty must be 'auto' or greater than 0, got 0"),
        ("= 50", '= 50\npenalty = "x"', "e.toml:13: controller.admm.penalty must be 'auto' or a valid number, got"),
        ("= 15", "= 15\ndiscount = 1.5", "e.toml:10: controller.discount must be less than or equal to 1, got 1.5"),
        ("= 15", "= 15\nsample_time = 0", "e.toml:10: controller.sample_time must be greater than 0, got 0"),
        ("= 15", '= 15\nname = "../x"', 'e.toml:10: controller.name must be a name of letters, digits and underscores'),
        ("= 15", "= 15\nhorizon = 3", "e.toml: not valid TOML"),
        ("[controller]", "[[controller]]", "e.toml"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(old: str, new: str, message: str) -> None:
    assert fault(TEXT.replace(old, new, 1)).startswith(message)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("plant.scenari=2", "--set plant.scenari: unknown key plant.scenari; did you mean scenario?"),
        ("plant.scenario=true", "--set plant.scenario: plant.scenario must be a valid integer, got true"),
        ('plant.scenario="2"', '--set plant.scenario: plant.scenario must be a valid integer, got "2"'),
        ("plant.scenario=nan", "--set plant.scenario: plant.scenario must be a valid integer, got nan"),
        ("simulation.t_end=1e400", "--set simulation.t_end: simulation.t_end must be a finite number, got inf"),
        ("plant=3", "--set plant: plant must be a table, got 3"),
        ("extra.deep.key=3", "--set extra.deep.key: unknown key extra"),
        ("title.sub=3", '--set title.sub: title is "A test", not a table'),
        ("plant", '--set "plant": write --set table.key=value'),
        ("=3", '--set: `""` is not a key'),
        ("plant.scenario=", '--set plant.scenario: "" is not a TOML value'),
        (
            "plant.kind=chain",
            '--set plant.kind: "chain" is not a TOML value; a string needs quotes: --set \'plant.kind',
        ),
        ("plant.scenario=1\ntitle=2", "--set plant.scenario:"),
        ("plant.scenario=" + "[" * 5000, "--set plant.scenario:"),
        ("plant.scenario=0x" + "f" * 100, "--set plant.scenario: value is an integer of more than 64 bits"),
    ],
)
def test_a_wrong_set_is_named(setting: str, message: str) -> None:
    assert fault(TEXT, setting).startswith(message)


def test_the_first_of_several_faults_is_told_and_the_others_counted() -> None:
    text = TEXT.replace("= 50", "= 0").replace("100.0", "nan")
    assert fault(text).endswith("got 0 (and 1 more)")


def test_a_file_without_keys_says_what_it_needs() -> None:
    assert fault("# nothing\n") == "e.toml holds no key; it needs title, plant, controller, simulation"
