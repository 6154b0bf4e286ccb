"""A campaign file's own keys."""

import pytest
from pydantic import ValidationError

from dmpcrl_ctrl.validation.campaign_sections import CampaignSection


def test_only_a_title_is_needed() -> None:
    section = CampaignSection.model_validate({"title": "T"})
    assert (section.runs, section.seed, section.reference, section.criteria) == (10, 0, None, [])


@pytest.mark.parametrize(
    "table", [{}, {"title": ""}, {"runs": 0}, {"runs": True}, {"seed": -1}, {"grid": {"a": 3}}, {"criteria": "x"}]
)
def test_values_out_of_range_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CampaignSection.model_validate({"title": "T", **table} if table else table)
