"""A campaign's verdict as a JUnit file for build servers: one test case a criterion, and one a run that failed."""

import re
from xml.etree import ElementTree

from dmpcrl_ctrl.validation.campaign import Campaign
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading
from dmpcrl_ctrl.validation.wording import judgement_line

# what XML 1.0 has no way to say
_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(campaign: Campaign, heading: CampaignHeading) -> str:
    """The file's text.

    The suite "criteria" has one case a judgement, the suite "runs" one a run that failed, or one for all of them.
    """
    root = ElementTree.Element("testsuites", name=_said(heading.title))
    criteria = ElementTree.SubElement(root, "testsuite", name="criteria")
    for own in heading.judgements:
        case = _case(criteria, ".".join(filter(None, ["criteria", own.scenario, own.controller])), own.criterion)
        if not own.passed:
            ElementTree.SubElement(case, "failure", message=_said(judgement_line(own)), type="criterion")
    runs = ElementTree.SubElement(root, "testsuite", name="runs")
    for run in campaign.failed:
        case = _case(runs, ".".join(filter(None, ["runs", run.scenario, run.controller])), run.name)
        ElementTree.SubElement(case, "error", message=_said(run.error), type="run")
    if not campaign.failed:
        seconds = sum(run.seconds for run in campaign.results)
        _case(runs, "runs", f"all {len(campaign.results)} runs finish", seconds)
    for suite in (criteria, runs):
        found = {kind: len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error")}
        suite.attrib |= _counts(len(suite), found["failure"], found["error"])
    root.attrib |= _counts(
        *(sum(int(suite.attrib[key]) for suite in (criteria, runs)) for key in ("tests", "failures", "errors"))
    )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, group: str, name: str, seconds: float = 0.0) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_said(group), name=_said(name), time=f"{seconds:.3f}")


def _counts(tests: int, failures: int, errors: int) -> dict[str, str]:
    return {"tests": str(tests), "failures": str(failures), "errors": str(errors), "skipped": "0"}


def _said(text: str) -> str:
    return _UNSAYABLE.sub("?", text)
