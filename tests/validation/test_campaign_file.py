"""Campaign files: which loops they stand for, and one line on what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import CampaignError, DmpcrlError, ExperimentError
from dmpcrl_ctrl.parameter_file import save_parameters
from dmpcrl_ctrl.validation.campaign_file import load_campaign, require_loops
from dmpcrl_ctrl.validation.experiment import load_experiment
from dmpcrl_ctrl.validation.learning_setup import learning_of
from dmpcrl_ctrl.validation.paper import power_plant
from dmpcrl_ctrl.validation.paper_baselines import power_nominal
from dmpcrl_ctrl.validation.runner import blocks_of
from dmpcrl_ctrl.validation.tally import tally

ROOT = Path(__file__).resolve().parents[2]

FULL = """\
title = "Chain"
question = "Which law?"
runs = 3
seed = 1
reference = "lqr"

[plant]
kind = "chain"

[plants.noisy]
[plants.quiet]
noise = false

[controllers.lqr]
kind = "lqr"
[controllers.mpc]
kind = "centralized_mpc"
horizon = 5

[grid]
"controllers.mpc.horizon" = [3, 5]
"plant.violation_weight" = { cheap = 10.0, dear = 100.0 }

[criteria]
all = ["failed runs = 0"]
mpc = [
  "max violations <= 30",
  "p95 solve time <= 50 ms", "mean difference < 0",
]

[simulation]
t_end = 5.0
"""
LEARNING = """\
title = "Learned"

[plant]
kind = "chain"

[controller]
kind = "centralized_mpc"
horizon = 3

[learning]
parameters = ["V0", "b"]
step_size = 1e-3

[simulation]
t_end = 3.0
"""


def written(folder: Path, text: str, name: str = "campaign.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_is_every_plant_with_every_controller(tmp_path: Path) -> None:
    campaign = load_campaign(written(tmp_path, FULL))
    scenarios = ["noisy-cheap", "noisy-dear", "quiet-cheap", "quiet-dear"]
    controllers = ["lqr", "mpc-horizon_3", "mpc-horizon_5"]
    assert [(loop.scenario, loop.controller) for loop in campaign.loops] == [
        (s, c) for s in scenarios for c in controllers
    ]
    found = {(loop.scenario, loop.controller): loop.experiment for loop in campaign.loops}
    last = found["quiet-dear", "mpc-horizon_5"]
    plant, controller = last.plant.model_dump(), last.controller.model_dump()
    assert (plant["noise"], plant["violation_weight"], controller["horizon"]) == (False, 100.0, 5)
    assert found["noisy-cheap", "lqr"].plant.model_dump()["noise"] is True
    assert (campaign.title, campaign.question, campaign.runs, campaign.seed) == ("Chain", "Which law?", 3, 1)
    assert [(criterion.text, names) for criterion, names in campaign.criteria] == [
        ("failed runs = 0", ("lqr", "mpc-horizon_3", "mpc-horizon_5")),
        ("max violations <= 30", ("mpc-horizon_3", "mpc-horizon_5")),
        ("p95 solve time <= 50 ms", ("mpc-horizon_3", "mpc-horizon_5")),
        ("mean difference < 0", ("mpc-horizon_3", "mpc-horizon_5")),
    ]


def test_jobs_are_its_loops_under_common_seeds(tmp_path: Path) -> None:
    jobs = load_campaign(written(tmp_path, FULL)).jobs(2)
    assert len(jobs) == 24
    assert jobs[1].name == "noisy-cheap-mpc-horizon_3-0000"
    assert {job.seed for job in jobs[:12]} != {job.seed for job in jobs[12:]}
    assert len({job.seed for job in jobs}) == 2


def test_a_file_is_the_base_that_the_campaign_changes(tmp_path: Path) -> None:
    written(tmp_path, LEARNING, "base.toml")
    text = 'title = "Based"\nexperiment = "base.toml"\ncontroller.horizon = 4\nobserver.process_noise = 2.0\n'
    (loop,) = load_campaign(written(tmp_path, text)).loops
    base = load_experiment(tmp_path / "base.toml")
    assert (loop.scenario, loop.controller) == ("", "centralized_mpc")
    assert loop.experiment.plant == base.plant
    assert loop.experiment.controller == base.controller.model_copy(update={"horizon": 4})
    assert loop.experiment.learning is None  # a controller that has learned nothing ignores it
    assert loop.experiment.observer is not None and loop.experiment.observer.process_noise == 2.0


def test_a_kind_of_its_own_makes_a_whole_section(tmp_path: Path) -> None:
    written(tmp_path, LEARNING, "base.toml")
    text = 'title = "T"\nexperiment = "base.toml"\n[controllers.law]\nkind = "lqr"\n[controllers.far]\nhorizon = 9\n'
    law, far = (loop.experiment.controller for loop in load_campaign(written(tmp_path, text)).loops)
    assert law.kind == "lqr"
    assert (far.kind, far.model_dump()["horizon"]) == ("centralized_mpc", 9)


def test_learned_parameters_travel_with_the_job(tmp_path: Path) -> None:
    """The job needs no file, and its loop is that of the controller that was learned, to the last bit."""
    experiment = load_experiment(written(tmp_path, LEARNING, "base.toml"))
    learner = learning_of(experiment, plant := experiment.plant.build())
    theta = [{key: np.asarray(value) + 0.1 / 3.0 for key, value in own.items()} for own in learner.theta]
    names = learner.mpc.problem.names
    save_parameters(tmp_path / "learned.json", names, theta)
    text = 'title = "T"\nexperiment = "base.toml"\ncontrollers.learned.parameters = "learned.json"\n'
    file = written(tmp_path, text)
    campaign = load_campaign(file)
    require_loops(campaign)
    assert campaign.parameters == {"learned": str(tmp_path / "learned.json")}
    (job,) = campaign.jobs(1)
    save_parameters(tmp_path / "learned.json", names, learner.theta, overwrite=True)
    assert load_campaign(file).jobs(1)[0].experiment != job.experiment  # another training is another job
    (tmp_path / "learned.json").unlink()
    own = job.plant()
    found = simulate(own, job.block(own), t_end=3.0, seed=job.seed)
    expected = simulate(plant, learner.controller(tuple(theta)), t_end=3.0, seed=job.seed)
    start = simulate(plant, blocks_of(experiment, plant), t_end=3.0, seed=job.seed)
    assert np.array_equal(found.input, expected.input)
    assert not np.array_equal(found.input, start.input)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("horizon = 5", "horizn = 5", 18, "unknown key controllers.mpc.horizn; did you mean horizon?"),
        ('"controllers.mpc.hor', '"controller.hor', 21, r'unknown key grid."controller.horizon"; known here: kind'),
        ("[3, 5]", "[3, 0]", 21, r'grid."controllers.mpc.horizon" must be greater than or equal to 1, got 0'),
        ("[3, 5]", "[3, 3]", 21, r"a value stands twice \(horizon_3\)"),
        ("[3, 5]", "[]", 21, "is empty"),
        ("[3, 5]", "[[1]]", 21, r'a list has no short name; give names: "controllers.mpc.horizon" = { NAME = VALUE }'),
        ("controllers.mpc.horizon", "controllers.mcp.horizon", 21, "unknown controller mcp; did you mean mpc?"),
        ("controllers.mpc.horizon", "controllers.mpc", 21, r'grid."controllers.mpc" is no key of a section'),
        ("plant.viol", "plnt.viol", 22, "unknown section plnt; did you mean plant?"),
        ("plant.violation_weight", "plant", 22, "grid.plant is no key of a section"),
        ("plant.violation_weight", "simulation.seed", 22, "the seeds of a campaign are its keys runs and seed"),
        ("mean difference", "maen difference", 28, "unknown statistic 'maen'; did you mean mean?"),
        ('reference = "lqr"', "", 28, "needs a key reference"),
        ('reference = "lqr"', 'reference = "lq"', 5, "reference: unknown controller 'lq'; did you mean lqr?"),
        ("mpc = [", "mcp = [", 26, "criteria: unknown controller 'mcp'; did you mean mpc?"),
        ("reference =", "referense =", 5, "unknown key referense; did you mean reference?"),
        ("runs = 3", 'runs = "3"', 3, 'runs must be a valid integer, got "3"'),
        ('kind = "chain"', 'kind = "chian"', 8, 'plant.kind "chian" is unknown; did you mean chain?'),
        ("[plants.quiet]", '[plants."qu iet"]', 11, 'plants."qu iet" must be a name'),
        ("noise = false", "noise = 3", 12, "plants.quiet.noise must be a valid boolean or 'common', got 3"),
        ("horizon = 5", 'horizon = 5\nparameters = "x"', 19, "controller.parameters needs a section"),
        ("runs = 3", 'experiment = "none.toml"', 3, "none.toml cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in FULL
    path = written(tmp_path, FULL.replace(old, new, 1))
    with pytest.raises(ExperimentError, match=message.replace("[", r"\[").replace("?", r"\?")) as caught:
        load_campaign(path)
    assert f"{path}:{line}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loop_that_cannot_be_built_is_told_before_any_runs(tmp_path: Path) -> None:
    path = written(tmp_path, FULL.replace('kind = "chain"', 'kind = "chain"\nrate_limits = { nobody = 1.0 }'))
    with pytest.raises(CampaignError, match=rf"{path}:15: .*nobody"):
        require_loops(load_campaign(path))


@pytest.mark.parametrize("content", [None, "{}"])
def test_parameters_that_are_none_are_named_with_the_key(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "learned.json").write_text(content)
    path = written(tmp_path, LEARNING.replace("horizon = 3", 'horizon = 3\nparameters = "learned.json"'))
    with pytest.raises(DmpcrlError, match=rf"{path}:9: controller.parameters: .*learned\.json"):
        load_campaign(path)


def test_a_grid_of_too_many_loops_is_refused(tmp_path: Path) -> None:
    values = str(list(range(1, 102)))
    grid = f'"controllers.mpc.horizon" = {values}\n"plant.violation_weight" = {values}'
    text = FULL.replace(
        '"controllers.mpc.horizon" = [3, 5]\n"plant.violation_weight" = { cheap = 10.0, dear = 100.0 }', grid
    )
    with pytest.raises(ExperimentError, match="more than 10000 combinations"):
        load_campaign(written(tmp_path, text))


def test_the_example_is_figure_8() -> None:
    """Its nominal controller is the paper's, to the last bit; what was learned differs from where learning starts."""
    campaign = load_campaign(ROOT / "examples" / "power_campaign.toml")
    require_loops(campaign)
    loops = {loop.controller: loop.experiment for loop in campaign.loops}
    assert list(loops) == ["learned", "learned_central", "scenario", "nominal"]
    assert set(campaign.parameters) == {"learned", "learned_central"}
    plant = loops["nominal"].plant.build()
    (nominal,) = blocks_of(loops["nominal"], plant)
    assert tally(plant, nominal, 10.0, 3) == tally(power_plant(), power_nominal(), 10.0, 3)
    (learned,) = blocks_of(loops["learned"], loops["learned"].plant.build())
    start = learning_of(load_experiment(ROOT / "examples" / "power_learning.toml"), plant).controller()
    assert isinstance(learned, MPC)
    assert not np.array_equal(learned.problem.models[0].A, start.problem.models[0].A)
