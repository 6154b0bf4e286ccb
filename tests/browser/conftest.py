"""A headless Chromium, and pages made for it."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.campaign import BlockFactory, Campaign, jobs_of, run_campaign
from dmpcrl_ctrl.validation.paper import power_learning, power_plant
from dmpcrl_ctrl.validation.paper_baselines import power_nominal, power_scenario

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    """Nothing is downloaded: browser and driver are those of the machine, and names lead nowhere."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    service = shutil.which("chromedriver")
    assert browser and service, "install Chromium and its chromedriver (Debian: chromium and chromium-driver)"
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(service))
    yield running
    running.quit()


def _nominal(plant: Plant) -> Block:
    return power_nominal(certify=True)


def _scenario(plant: Plant) -> Block:
    return power_scenario(4)


def _learning(plant: Plant, distributed: bool) -> Block:
    return power_learning(distributed=distributed)


@pytest.fixture(scope="session")
def power(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """The power network under the controllers of Figure 8: agents that learn, a central learner, scenarios, nominal."""
    controllers: dict[str, BlockFactory] = {
        "agents": partial(_learning, distributed=True),
        "central": partial(_learning, distributed=False),
        "scenario_mpc": _scenario,
        "nominal_mpc": _nominal,
    }
    jobs = jobs_of(power_plant, controllers, t_end=30.0, seeds=2, seed=1)
    with ThreadPoolExecutor(1) as pool:
        return run_campaign(jobs, folder=tmp_path_factory.mktemp("power"), executor=pool)


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for pages that a browser opens."""
    return tmp_path_factory.mktemp("pages")
