"""Draws the pictures of README and documentation anew: python docs/pictures.py"""

import io
import shutil
from pathlib import Path

import numpy as np

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.plot import COLOURS
from dmpcrl_ctrl.validation.convergence import (
    Example,
    chain_example,
    chain_loop,
    convergence,
    policy_cases,
    power_example,
    power_loop,
    warm_convergence,
)
from dmpcrl_ctrl.validation.drawing import panel_row
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


def admm(panels: dict[str, tuple[Example, Example]], target: Path, iterations: int = 60) -> None:
    """Error of V's gradient by iteration and scheme: the median as a line, the 90th percentile dashed.

    Parameters
    ----------
    panels
        For each title an example at random states, and the samples of a closed loop for the warm start.
    target
        File to write.
    iterations
        How far.
    """
    figure, axes = panel_row(list(panels), 4.4)
    counts = np.arange(1, iterations + 1)
    for ax, (example, loop) in zip(axes, panels.values(), strict=True):
        cases = policy_cases(example)
        errors = {
            name: convergence(example.problem, cases, options, iterations)[0]
            for name, options in example.schemes().items()
        }
        errors["warm-started"] = warm_convergence(loop.problem, policy_cases(loop), None, iterations, kept=20)[1:]
        for colour, (name, table) in zip(COLOURS, errors.items(), strict=False):
            visible = np.maximum(table, 1e-16)
            ax.semilogy(counts, np.median(visible, axis=0), color=colour, label=name)
            ax.semilogy(counts, np.quantile(visible, 0.9, axis=0), color=colour, linestyle="--", linewidth=0.8)
        ax.set_xlabel("ADMM iterations")
        ax.set_ylim(1e-16, 10.0)
    axes[0].set_ylabel("gradient error / largest entry")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False, fontsize=8)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None, dpi=90)


def on_white(figure: Path, target: Path) -> None:
    """A figure as `dmpcrl-ctrl reproduce fig5 learners --seeds 5` has drawn it."""
    head, body = figure.read_text(encoding="utf-8").split(">", 1)
    target.write_text(f'{head}><rect width="100%" height="100%" fill="white"/>{body}', encoding="utf-8")


def campaign_page(page: Path, target: Path) -> None:
    """The head of a campaign's page, and beside it a run of the nominal MPC that is read at a sample; in Chromium."""
    from matplotlib import image
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--window-size=760,1120"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.get(page.resolve().as_uri())
        halves = [browser.get_screenshot_as_png()]
        for name, text in (("group", "nominal"), ("other", "learned, same noise"), ("panel", "dtheta (4)")):
            Select(browser.find_element(By.ID, f"choose-{name}")).select_by_visible_text(text)
        chart = browser.find_element(By.CLASS_NAME, "chart")
        browser.execute_script("arguments[0].focus()", chart)
        ActionChains(browser).send_keys(Keys.ARROW_UP, Keys.HOME, *[Keys.ARROW_RIGHT] * 70).perform()
        browser.execute_script("document.getElementById('spread').scrollIntoView()")
        halves.append(browser.get_screenshot_as_png())
    finally:
        browser.quit()
    image.imsave(target, np.hstack([image.imread(io.BytesIO(half)) for half in halves]))


if __name__ == "__main__":
    for figure, picture in (("fig5.svg", "learning.svg"), ("learners.svg", "learners.svg")):
        reproduced = HERE.parent / "runs" / "paper" / figure
        if reproduced.exists():  # what takes an hour is not run from here
            on_white(reproduced, HERE / picture)
    campaign = HERE.parent / "runs" / "campaign" / "report.html"
    if campaign.exists():  # of the command in the README
        campaign_page(campaign, HERE / "campaign.png")
    example = load_experiment(HERE.parent / "examples" / "hycon2_scenario1.toml")
    power_network(example, HERE / "hycon2_scenario1.png")
    admm(
        {
            "Three-agent chain": (chain_example(40, 0, true_model=True), chain_loop(0)),
            "Power network, four areas": (power_example(40, 0), power_loop(0)),
        },
        HERE / "admm.png",
    )
