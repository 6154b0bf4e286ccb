"""Draws the picture of the README anew: python docs/pictures.py"""

from pathlib import Path

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.validation.experiment import load_experiment
from dmpcrl_ctrl.validation.sections import Experiment

HERE = Path(__file__).resolve().parent


def power_network(experiment: Experiment, target: Path) -> None:
    """Angles, frequencies, inputs and loads of the four areas."""
    plant = experiment.plant.build()
    settings = experiment.simulation
    run = simulate(plant, experiment.controller.build(plant), t_end=settings.t_end, dense=settings.dense)
    states = [name for name in run.state_names if name.startswith(("dtheta", "domega"))]
    figure = run.plot(signals=[*states, *run.input_names, *run.disturbance_names])
    figure.suptitle("")
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    example = load_experiment(HERE.parent / "examples" / "hycon2_scenario1.toml")
    power_network(example, HERE / "hycon2_scenario1.png")
