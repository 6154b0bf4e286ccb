"""The sections of a campaign file, before they become experiments: what stands in it at all, and of which type.

What is inside a plant or a controller is checked where the experiments are put together.
"""

from typing import Annotated, Any

from pydantic import Field

from dmpcrl_ctrl.validation.section import Section, Seed

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,40}$")]
Table = dict[str, Any]


class CampaignSection(Section):
    """A grid of closed loops: plants and controllers by name, parameters by key, each under many seeds.

    `experiment` names a file whose sections are the base; the sections here change what it says, and `plants`,
    `controllers` and `grid` change that again. A plant or a controller with a `kind` of its own is a whole section, and
    takes nothing from the base. `learning` says what `controller.parameters` are; controllers without them ignore it.
    """

    title: Annotated[str, Field(min_length=1, max_length=200)]
    question: str = ""
    runs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    seed: Seed = 0
    reference: str | None = None
    experiment: Annotated[str, Field(min_length=1)] | None = None
    plant: Table = Field(default_factory=dict)
    controller: Table = Field(default_factory=dict)
    observer: Table = Field(default_factory=dict)
    learning: Table = Field(default_factory=dict)
    simulation: Table = Field(default_factory=dict)
    plants: dict[Name, Table] = Field(default_factory=dict)
    controllers: dict[Name, Table] = Field(default_factory=dict)
    grid: dict[str, list[Any] | dict[Name, Any]] = Field(default_factory=dict)
    criteria: list[str] | dict[str, list[str]] = Field(default_factory=list)
