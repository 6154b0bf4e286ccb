"""A heading tells which criteria were missed."""

from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement


def test_the_criteria_that_are_missed() -> None:
    met = Judgement("max violations = 0", "", "learned", 0.0, 0.0, True)
    missed = Judgement("mean cost <= 280", "", "learned", 290.0, 280.0, False)
    assert CampaignHeading("title", judgements=(met, missed)).missed == (missed,)
