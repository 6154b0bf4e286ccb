"""The page that a colleague reads: one HTML file that holds its pictures and needs nothing from anywhere."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.validation.figures import pictures
from dmpcrl_ctrl.validation.metrics import Summary
from dmpcrl_ctrl.validation.wording import Row, findings, number, seconds, table

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import Run

PACKAGES = ("numpy", "scipy", "control", "qpsolvers")


@dataclass(frozen=True)
class Heading:
    """What stands around the numbers of a report.

    Attributes
    ----------
    title, question
        Of the experiment; `question` may be empty.
    facts
        One line: plant, controller, seed, duration.
    command
        The command line that runs it again.
    experiment
        TOML text, as resolved.
    """

    title: str
    question: str
    facts: str
    command: str
    experiment: str


def render(run: "Run", summary: Summary, heading: Heading) -> str:
    """The report as HTML text; everything that comes from outside is escaped."""
    return page(
        "report.html.j2",
        title=heading.title,
        question=heading.question,
        facts=heading.facts,
        command=heading.command,
        experiment=heading.experiment,
        findings=findings(summary),
        key=_key_numbers(summary),
        table=table(summary),
        agents=[(name, number(value)) for name, value in summary.agent_cost.items()],
        violations=[(name, v.samples, number(v.worst)) for name, v in summary.violations.items()],
        pictures=pictures(run),
    )


def page(template: str, **content: object) -> str:
    """A page from one of the templates beside this file; all but the pictures is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, versions=_versions(), **content)


def _key_numbers(summary: Summary) -> list[Row]:
    """The five or so numbers that stand large at the top."""
    rows = [Row("total cost", number(summary.total_cost))]
    rows += [Row(name, f"{value:.5g}") for name, value in summary.indices.items()]
    if summary.limited_states:
        rows.append(Row("limit violations", f"{summary.violated_samples} of {summary.samples + 1}"))
    for controller in summary.controllers.values():
        if controller.solve_time:
            rows.append(Row("median solve time", seconds(controller.solve_time.median)))
        if controller.central_difference:
            rows.append(Row("from central", f"{controller.central_difference.max:.1e}"))
    return rows


def _versions() -> str:
    parts = [f"dmpcrl-ctrl {__version__}", f"Python {platform.python_version()}"]
    return ", ".join(parts + [f"{name} {version(name)}" for name in PACKAGES])
