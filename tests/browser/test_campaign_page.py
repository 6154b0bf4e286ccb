"""The page of a campaign in a real browser: what is read off it is in the logs, by mouse and by keyboard."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.plants import chain
from dmpcrl_ctrl.validation.campaign import Campaign, jobs_of, run_job
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.campaign_report import render_campaign
from dmpcrl_ctrl.validation.experiment import parse_experiment
from dmpcrl_ctrl.validation.runner import execute, prepare

pytestmark = pytest.mark.browser
SIX_DIGITS = 5.1e-6

HEADING = CampaignHeading(
    'Four <controllers> </script> & "more"',
    "Is everything there?",
    "nominal_mpc",
    runs=2,
    seed=1,
    judgements=(Judgement("mean cost <= 1", "", "nominal_mpc", 2.0, 1.0, False),),
    command="dmpcrl-ctrl campaign four.toml --out runs/four",
)
EXPERIMENT = """\
title = "Short"

[plant]
kind = "chain"

[controller]
kind = "distributed_mpc"
horizon = 4

[simulation]
t_end = 6.0
"""


@pytest.fixture(scope="module")
def address(power: Campaign, pages: Path) -> str:
    page = pages / "campaign.html"
    page.write_text(render_campaign(power, HEADING), encoding="utf-8")
    return page.as_uri()


@pytest.fixture
def page(driver: webdriver.Chrome, address: str) -> webdriver.Chrome:
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(address)
    return driver


def element(page: webdriver.Chrome, name: str) -> WebElement:
    return page.find_element(By.ID, name)


def readout(page: webdriver.Chrome) -> tuple[str, float, float]:
    """Signal, value and time."""
    text = element(page, "readout").text.replace("−", "-")
    found = re.match(r"(\S+) = (\S+)(?: \S+)? at (\S+) s", text)
    assert found is not None, text
    return found[1], float(found[2]), float(found[3])


def assert_in_log(page: webdriver.Chrome, campaign: Campaign, name: str) -> tuple[str, float]:
    """What is read out is the log's number, in the six digits that are shown; returns signal and time."""
    signal, value, time = readout(page)
    (result,) = [run for run in campaign.results if run.name == name]
    with open_log(str(result.log)) as run:
        row = int(np.argmin(np.abs(run.time - time)))
        assert run.time[row] == pytest.approx(time, rel=1e-6)
        assert value == pytest.approx(float(run[signal][row]), rel=SIX_DIGITS)
    return signal, time


def errors(page: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requests(page: webdriver.Chrome) -> set[str]:
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [own["params"]["request"]["url"] for own in messages if own["method"] == "Network.requestWillBeSent"]
    return {url for url in sent if not url.startswith("data:")}


def test_it_opens_without_an_error_and_asks_for_nothing(page: webdriver.Chrome, address: str) -> None:
    assert errors(page) == []
    assert requests(page) == {address}
    assert page.title == HEADING.title
    assert element(page, "verdict").text == "FAIL: 1 of 1 criterion missed."
    assert len(page.find_elements(By.CSS_SELECTOR, "#dots use.live")) == 16
    assert not element(page, "still-run").is_displayed()


def test_a_run_is_selected_and_a_trace_is_read_with_the_mouse(page: webdriver.Chrome, power: Campaign) -> None:
    Select(element(page, "choose-group")).select_by_visible_text("scenario_mpc")
    runs = Select(element(page, "choose-run"))
    assert [option.text.split(":")[0] for option in runs.options] == ["0", "1"]
    runs.select_by_index(1)
    assert element(page, "about").text.startswith("scenario_mpc-0001")
    seen = set()
    for place in (0, -2):
        chart = page.find_elements(By.CSS_SELECTOR, ".chart svg")[place]
        for share in (-0.3, 0.0, 0.42):
            across = int(share * chart.size["width"])
            ActionChains(page).move_to_element_with_offset(chart, across, 5).perform()
            seen.add(assert_in_log(page, power, "scenario_mpc-0001"))
    assert len(seen) == 6
    runs.select_by_index(0)
    assert element(page, "readout").text.startswith("Point at a trace")  # not the value of another run
    assert errors(page) == []


def test_a_dot_and_a_line_of_the_table_select_their_run(page: webdriver.Chrome) -> None:
    dot = page.find_elements(By.CSS_SELECTOR, '[id="boxes-cost-3"] use')[1]
    ActionChains(page).move_to_element(dot).click().perform()
    assert element(page, "about").text.startswith("nominal_mpc-0001")
    page.find_element(By.CSS_SELECTOR, "#runs summary").click()
    page.find_element(By.XPATH, "//button[text()='central-0000']").click()
    assert element(page, "about").text.startswith("central-0000")
    assert page.switch_to.active_element.get_attribute("id") == "choose-run"


def test_two_runs_on_the_same_noise_are_read_side_by_side(page: webdriver.Chrome, power: Campaign) -> None:
    Select(element(page, "choose-group")).select_by_visible_text("agents")
    Select(element(page, "choose-other")).select_by_visible_text("nominal_mpc, same noise")
    chart = page.find_element(By.CSS_SELECTOR, ".chart svg")
    ActionChains(page).move_to_element(chart).perform()
    signal, time = assert_in_log(page, power, element(page, "about").text.split(",")[0])
    other = float(element(page, "readout").text.replace("−", "-").split("the other: ")[1])
    index = Select(element(page, "choose-run")).first_selected_option.text.split(":")[0]
    with open_log(str(power.of("nominal_mpc")[int(index)].log)) as run:
        assert other == pytest.approx(float(run[signal][round(time)]), rel=SIX_DIGITS)


def test_the_keyboard_alone_gets_to_a_value(page: webdriver.Chrome, power: Campaign) -> None:
    def press(*keys: str) -> WebElement:
        ActionChains(page).send_keys(*keys).perform()
        return page.switch_to.active_element

    page.execute_script("document.activeElement.blur()")
    reached = []
    while "choose-group" not in reached:
        reached.append(press(Keys.TAB).get_attribute("id"))
        assert len(reached) < 60, "Tab does not get to the choice of a controller"
    press(Keys.HOME)
    for _ in range(2):
        press(Keys.DOWN)
    assert element(page, "about").text.startswith("scenario_mpc-000")
    focused = press(Keys.TAB)
    assert focused.get_attribute("id") == "choose-run"
    while "chart" not in (focused.get_attribute("class") or ""):
        focused = press(Keys.TAB)
    outline = focused.value_of_css_property("outline-style")
    assert outline == "solid"
    name = element(page, "about").text.split(",")[0]
    press(Keys.ARROW_RIGHT)
    assert assert_in_log(page, power, name) == ("dtheta_1", 0.0)
    press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.PAGE_DOWN)
    assert assert_in_log(page, power, name) == ("dtheta_1", 12.0)
    press(Keys.ARROW_DOWN, Keys.ARROW_LEFT)
    assert assert_in_log(page, power, name) == ("dtheta_2", 11.0)
    press(Keys.ARROW_UP, Keys.ARROW_UP, Keys.END)
    assert assert_in_log(page, power, name) == ("dtheta_4", 30.0)
    press(Keys.HOME)
    assert assert_in_log(page, power, name)[1] == 0.0
    assert element(page, "readout").get_attribute("aria-live") == "polite"
    assert errors(page) == []


def test_it_prints(page: webdriver.Chrome) -> None:
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"])
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1
    drawn = [zlib.decompress(part) for part in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", printed, re.DOTALL)]
    assert sum(map(len, drawn)) > 50_000


def test_it_is_read_without_scripts(driver: webdriver.Chrome, address: str) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(address)
        assert element(driver, "still-run").is_displayed()
        assert not element(driver, "viewer").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_long_run_alone_is_read_at_samples_of_its_log(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """Thinned: what is read are samples that are drawn, with their own times."""
    (job,) = jobs_of(chain, {"lqr": LQR.for_plant}, t_end=1500.0, seeds=1)
    campaign = Campaign((run_job(job, tmp_path),), 1, tmp_path)
    (tmp_path / "long.html").write_text(render_campaign(campaign, CampaignHeading("Long")), encoding="utf-8")
    driver.get_log("browser")
    driver.get((tmp_path / "long.html").as_uri())
    chart = driver.find_element(By.CSS_SELECTOR, ".chart svg")
    times = []
    for share in (-0.35, -0.1, 0.2, 0.4):
        ActionChains(driver).move_to_element_with_offset(chart, int(share * chart.size["width"]), 5).perform()
        times.append(assert_in_log(driver, campaign, job.name)[1])
    assert times == sorted(set(times))
    assert not element(driver, "choose-other").is_enabled()
    assert errors(driver) == []


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_screen(page: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert page.execute_script("let own = document.documentElement; return own.scrollWidth == own.clientWidth")
        chart = page.find_element(By.CSS_SELECTOR, ".chart svg")
        assert chart.size["width"] <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_of_a_single_run_opens_without_an_error(driver: webdriver.Chrome, tmp_path: Path) -> None:
    driver.get_log("browser"), driver.get_log("performance")
    execute(prepare(parse_experiment(EXPERIMENT, "short.toml"), tmp_path / "run"), command="dmpcrl-ctrl run short.toml")
    address = (tmp_path / "run" / "report.html").as_uri()
    driver.get(address)
    assert errors(driver) == []
    assert requests(driver) == {address}
    assert driver.find_elements(By.CSS_SELECTOR, "figure svg")
