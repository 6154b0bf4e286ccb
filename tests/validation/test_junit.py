"""The JUnit file is well-formed, counts right, and says what failed."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

from dmpcrl_ctrl.validation.campaign import Campaign, RunResult
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.junit import as_junit

GOOD = RunResult("calm-mpc-0000", "mpc", "calm", 0, 5, 1.0, 10, seconds=2.0)
BAD = replace(GOOD, name="calm-mpc-0001", index=1, error='no <solution> & "no" \x00 way\ufffe')
MET = Judgement("max violations = 0", "calm", "mpc", 0.0, 0.0, True)
MISSED = Judgement("mean cost <= 1", "", "mpc", 2.0, 1.0, False)


def read(*results: RunResult, judgements: tuple[Judgement, ...] = ()) -> ElementTree.Element:
    return ElementTree.fromstring(as_junit(Campaign(results, 0), CampaignHeading("A < B", judgements=judgements)))


def test_one_case_a_criterion_and_one_a_failed_run() -> None:
    root = read(GOOD, BAD, judgements=(MET, MISSED))
    assert (root.tag, root.get("name")) == ("testsuites", "A < B")
    cases = [(case.get("classname"), case.get("name"), [child.tag for child in case]) for case in root.iter("testcase")]
    assert cases == [
        ("criteria.calm.mpc", "max violations = 0", []),
        ("criteria.mpc", "mean cost <= 1", ["failure"]),
        ("runs.calm.mpc", "calm-mpc-0001", ["error"]),
    ]
    failure, error = root.find(".//failure"), root.find(".//error")
    assert failure is not None and failure.get("message") == "FAIL  mpc: mean cost <= 1 (measured 2)"
    assert error is not None and error.get("message") == 'no <solution> & "no" ? way?'
    for suite in (root, *root):
        assert suite.get("tests") == str(len(list(suite.iter("testcase"))))
        assert suite.get("failures") == str(len(list(suite.iter("failure"))))
        assert suite.get("errors") == str(len(list(suite.iter("error"))))


def test_a_campaign_without_fault_says_that_its_runs_finish() -> None:
    (case,) = read(GOOD, GOOD).iter("testcase")
    assert (case.get("name"), case.get("time")) == ("all 2 runs finish", "4.000")
