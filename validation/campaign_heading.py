"""What a campaign is called and what became of it, for whoever shows it: the terminal, a JUnit file, the report.

The numbers themselves stand in `Campaign` and its table; here is what they do not tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Judgement:
    """A criterion, held against the runs of one controller in one scenario.

    Attributes
    ----------
    criterion
        As it was written: "mean cost <= 280".
    scenario, controller
        Of the runs; the scenario may be empty, as in :class:`~dmpcrl_ctrl.validation.campaign.Job`.
    measured
        The number that was held against the bound; NaN where the runs have none, and then the criterion is not met.
    bound
        In the same unit.
    passed
        Whether it is met.
    unit
        Of both: "s", "%" or nothing.
    """

    criterion: str
    scenario: str
    controller: str
    measured: float
    bound: float
    passed: bool
    unit: str = ""


@dataclass(frozen=True)
class CampaignHeading:
    """What stands above the numbers of a campaign.

    Attributes
    ----------
    title, question
        Of the campaign file; the question may be empty.
    reference
        Controller that the others are compared with in pairs, or None.
    runs, seed
        Number of seeds, and what they are drawn from.
    judgements
        One a criterion, scenario and controller; empty where the file has no criteria.
    command
        The shell command that runs it again.
    text
        The campaign file, as it was read (TOML).
    parameters
        Controller -> path of the file of its learned parameters; a `training.json` of the training may lie beside it.
    """

    title: str
    question: str = ""
    reference: str | None = None
    runs: int = 0
    seed: int = 0
    judgements: tuple[Judgement, ...] = ()
    command: str = ""
    text: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def missed(self) -> tuple[Judgement, ...]:
        """The criteria that are not met."""
        return tuple(judgement for judgement in self.judgements if not judgement.passed)
