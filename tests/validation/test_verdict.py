"""Outcomes read as words, in tables and in text."""

from dmpcrl_ctrl.validation.verdict import Outcome, Verdict


def test_an_outcome_is_its_word() -> None:
    assert [f"{outcome}" for outcome in Outcome] == ["passed", "failed", "skipped"]


def test_a_verdict_without_an_example_has_an_empty_one() -> None:
    assert Verdict("bracket", Outcome.PASSED, "largest deviation 0").example == ""
