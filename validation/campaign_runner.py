"""From a campaign file to a folder with the logs, the index, the numbers, the verdict and the page.

`prepare_campaign` finds everything that is wrong with the input before any file is touched; `execute_campaign` runs
what is not finished yet. Numbers and verdict are taken away first, so that a folder never holds those of other runs.
"""

import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from dmpcrl_ctrl.errors import CampaignError, LogError
from dmpcrl_ctrl.validation.campaign import Campaign, Job, results_in, run_campaign
from dmpcrl_ctrl.validation.campaign_file import CampaignFile, require_loops
from dmpcrl_ctrl.validation.campaign_folder import SHEET, TABLE, write_numbers
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.campaign_index import INDEX, CampaignIndex
from dmpcrl_ctrl.validation.campaign_report import render_campaign
from dmpcrl_ctrl.validation.junit import as_junit
from dmpcrl_ctrl.validation.runner import LOG, NUMBERS, PAGE, write_whole

JUNIT = "junit.xml"


@dataclass(frozen=True)
class PreparedCampaign:
    """A campaign whose loops can be built, and a folder that may be written to."""

    file: CampaignFile
    runs: int
    jobs: tuple[Job, ...]
    folder: Path
    overwrite: bool


@dataclass(frozen=True)
class CampaignOutcome:
    """What came of a campaign, and the files that it wrote."""

    campaign: Campaign
    heading: CampaignHeading
    files: tuple[Path, ...]

    @property
    def passed(self) -> bool:
        """Whether every run finished and every criterion is met."""
        return not self.campaign.failed and not self.heading.missed


def prepare_campaign(
    file: CampaignFile, folder: Path | str, runs: int | None = None, overwrite: bool = False
) -> PreparedCampaign:
    """Build every loop once, and make sure that `folder` may be written to.

    Parameters
    ----------
    file
        From :func:`~dmpcrl_ctrl.validation.campaign_file.load_campaign`.
    folder
        New, empty, or of this campaign: then it goes on, also with more seeds, controllers, scenarios or criteria.
    runs
        Number of seeds, in place of the file's.
    overwrite
        Take over a folder that holds something else; runs of other jobs are replaced.

    Raises
    ------
    CampaignError
        The folder holds another campaign, or files that are none of a campaign.
    DmpcrlError
        What is wrong with a plant or a controller.
    """
    folder, number = Path(folder), file.runs if runs is None else runs
    require_loops(file)
    jobs = file.jobs(number)
    if folder.is_dir() and not overwrite:
        _require_ours(folder, jobs)
    CampaignIndex.of(folder, jobs, overwrite, make=False)
    return PreparedCampaign(file, number, jobs, folder, overwrite)


def execute_campaign(
    prepared: PreparedCampaign,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    command: str = "",
    progress: Callable[[float], None] | None = None,
) -> CampaignOutcome:
    """Run what is not finished, judge, and write numbers, verdict and page.

    Parameters
    ----------
    prepared
        From :func:`prepare_campaign`.
    executor, workers, progress
        As for :func:`~dmpcrl_ctrl.validation.campaign.run_campaign`.
    command
        How a person runs it again.
    """
    file, folder = prepared.file, prepared.folder
    try:
        for name in (TABLE, SHEET, JUNIT, PAGE):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{folder} cannot be written: {error.strerror or error}") from error
    campaign = run_campaign(
        prepared.jobs,
        folder=folder,
        executor=executor,
        workers=workers,
        overwrite=prepared.overwrite,
        progress=progress,
    )
    heading = CampaignHeading(
        file.title,
        file.question,
        file.reference,
        prepared.runs,
        file.seed,
        judge(campaign, file),
        command,
        file.text,
        file.parameters,
    )
    write_whole(folder / JUNIT, as_junit(campaign, heading))
    numbers = write_numbers(campaign, heading, folder)
    write_whole(folder / PAGE, render_campaign(campaign, heading))
    return CampaignOutcome(campaign, heading, (folder / INDEX, *numbers, folder / JUNIT, folder / PAGE))


def judge(campaign: Campaign, file: CampaignFile) -> tuple[Judgement, ...]:
    """Every criterion, of every controller that it is for, in every scenario."""
    scenarios = dict.fromkeys(loop.scenario for loop in file.loops)
    return tuple(
        criterion.judge(campaign.of(name, scenario), campaign.of(file.reference or "", scenario))
        for scenario in scenarios
        for criterion, names in file.criteria
        for name in names
    )


def campaign_command(file: str, runs: int | None, options: Iterable[str] = ()) -> str:
    """The shell command that repeats a campaign into another folder."""
    words = ["dmpcrl-ctrl", "campaign", file, "--out", "runs/again", *options]
    if runs is not None:
        words += ["--runs", str(runs)]
    return " ".join(shlex.quote(word) for word in words)


def _require_ours(folder: Path, jobs: Iterable[Job]) -> None:
    """The folder is empty, or all that its index knows belongs to loops of these jobs."""
    advice = "give another --out, or --overwrite"
    present = [name for name in (TABLE, SHEET, JUNIT, PAGE, LOG, NUMBERS) if (folder / name).exists()]
    if not (folder / INDEX).exists():
        if present:
            raise CampaignError(f"{folder} holds {', '.join(present)}, but no campaign: {advice}")
        return
    mine = {(job.scenario, job.controller) for job in jobs}
    for run in results_in(folder):
        if (run.scenario, run.controller) not in mine:
            whose = ": ".join(filter(None, [run.scenario, run.controller]))
            raise CampaignError(f"{folder} holds another campaign, with runs of {whose}: {advice}")
