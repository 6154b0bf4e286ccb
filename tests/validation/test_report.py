"""The report: one file that needs nothing else, says what the run says, and turns no text of a user into markup."""

import pytest

from dmpcrl_ctrl.validation.wording import findings, table
from tests.validation.conftest import ShortRun
from tests.validation.html_page import Page


@pytest.fixture(scope="module")
def source(short_run: ShortRun) -> str:
    return (short_run.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_needs_nothing_from_anywhere(source: str, page: Page) -> None:
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert all(reference.startswith("#") for reference in page.references)
    assert "@import" not in source
    assert "url(http" not in source


def test_identifiers_are_unique_and_links_lead_somewhere(page: Page) -> None:
    assert len(page.identifiers) == len(set(page.identifiers))
    assert {reference[1:] for reference in page.references} <= set(page.identifiers)


def test_the_page_says_what_the_run_says(short_run: ShortRun, page: Page) -> None:
    words = " ".join(page.text.split())
    assert "A short <run> & its report" in words
    assert "Is everything there?" in words
    for finding in findings(short_run.summary):
        assert finding.text in words
    for row in table(short_run.summary):
        assert row.label in words
        assert row.value in words
    assert "dmpcrl-ctrl run short.toml --out runs/again" in words
    assert "iterations = 30" in words  # the experiment itself


def test_text_of_the_experiment_is_not_markup(source: str) -> None:
    assert "A short &lt;run&gt; &amp; its report" in source
    assert "<run>" not in source
