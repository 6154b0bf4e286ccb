"""The documentation site: its examples run, it builds without a warning and a network, its links lead somewhere."""

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from dmpcrl_ctrl.errors import ExperimentError
from tests.pages import pieces, run_page, same

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "docs" / "site"
PAGES = sorted(SITE.rglob("*.md"))
WITH_EXAMPLES = [page for page in PAGES if pieces(page.read_text(encoding="utf-8"))]
ENTRY = re.compile(r"^\s*\.\. auto(?:class|function|data|exception):: ([\w.]+)$", re.MULTILINE)
ENTRIES = [
    name for page in sorted((SITE / "reference").glob("*.md")) for name in ENTRY.findall(page.read_text("utf-8"))
]


def name_of(page: Path) -> str:
    return page.relative_to(SITE).as_posix()


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_the_examples_of_a_page(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)


def test_a_wrong_page_is_found_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n\n```output\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page\.md:6"):
        run_page(page, tmp_path)
    for wrong in ("frobnicate", "run x.toml --out y --no-such-option 1"):
        page.write_text(f"% not run\n```console\n$ dmpcrl-ctrl {wrong}\n```\n", encoding="utf-8")
        with pytest.raises(Exception, match=r"frobnicate|no-such-option"):
            run_page(page, tmp_path)
    page.write_text("```toml\n# x.toml\ntitel = 'Chain'\n```\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="titel"):
        run_page(page, tmp_path)


def test_what_is_printed_may_differ_where_the_page_says_so() -> None:
    assert same("cost  ... s", "cost 1.25 s\n")
    assert not same("cost ... s", "cost 1.25 ms\n")


def test_whole_experiments_on_the_pages_are_saved_and_so_read_strictly() -> None:
    for page in WITH_EXAMPLES:
        for piece in pieces(page.read_text(encoding="utf-8")):
            if piece.kind == "toml" and "plant" in tomllib.loads(piece.text):
                assert piece.text.startswith("# "), f"{name_of(page)}:{piece.line}"


def test_every_public_name_is_in_the_reference() -> None:
    public = {
        f"dmpcrl_ctrl.{room}.{name}"
        for room in ("plants", "controllers", "cosim")
        for name in importlib.import_module(f"dmpcrl_ctrl.{room}").__all__
    }
    errors = importlib.import_module("dmpcrl_ctrl.errors")
    public |= {f"dmpcrl_ctrl.errors.{name}" for name in vars(errors) if not name.startswith("_")}
    assert sorted(public - set(ENTRIES)) == []


def test_the_reference_names_what_exists_once_and_nothing_private() -> None:
    assert sorted({name for name in ENTRIES if ENTRIES.count(name) > 1}) == []
    for name in ENTRIES:
        assert pkgutil.resolve_name(name) is not None
        assert not any(part.startswith("_") for part in name.split("."))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-d", out / "doctrees", SITE, out / "html"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out / "html"


class _Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if said.get("id"):
            self.ids.add(str(said["id"]))
        if tag == "a" and said.get("href"):
            self.links.append(str(said["href"]))
        elif tag in ("script", "img", "link", "iframe", "source"):
            self.fetched.append(str(said.get("src") or said.get("href") or ""))


def test_links_inside_the_site_lead_somewhere_and_nothing_is_fetched_from_elsewhere(built: Path) -> None:
    pages = {page: _Links(page) for page in sorted(built.rglob("*.html"))}
    assert len(pages) >= len(PAGES)
    astray = []
    for page, found in pages.items():
        for link in [*found.links, *found.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                astray += [f"{page.name}: fetches {link}"] if link in found.fetched else []
                continue
            there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not there.is_file():
                astray.append(f"{page.relative_to(built)}: {link}")
            elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].ids:
                astray.append(f"{page.relative_to(built)}: {link}: no such heading")
    assert astray == []


def test_no_page_stands_apart_from_the_table_of_contents(built: Path) -> None:
    contents = _Links(built / "index.html").links
    for page in PAGES:
        assert page.name == "index.md" or name_of(page).replace(".md", ".html") in {
            urlsplit(link).path for link in contents
        }


def test_formulas_are_drawn_without_a_network(built: Path) -> None:
    text = (built / "mathematics.html").read_text(encoding="utf-8")
    assert text.count('<svg class="formula"') > 40
    assert not any("mathjax" in link.lower() for link in _Links(built / "mathematics.html").fetched)
