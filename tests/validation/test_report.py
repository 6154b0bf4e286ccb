"""The report: one file that needs nothing else, says what the run says, and turns no text of a user into markup."""

from html.parser import HTMLParser

import pytest

from dmpcrl_ctrl.validation.wording import findings, table
from tests.validation.conftest import ShortRun

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects what a browser would: tags, identifiers, references, visible text; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.identifiers: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._collect(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._collect(attrs)

    def _collect(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.identifiers.append(value)
            if name in ("src", "href", "xlink:href", "data", "action") and value:
                self.references.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


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
