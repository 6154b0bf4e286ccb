"""The examples of a page in Markdown, run in the order in which a reader meets them.

    ```python     is run, one namespace a page, in a folder of its own; where it begins with `# name.py`, saved, too
    ```toml       where it begins with `# name.toml`, is saved and read strictly: an experiment or a campaign
    ```console    lines `$ dmpcrl-ctrl ...` are run, other commands are not
    ```output     is what the block before it has to print; `...` stands for anything

A comment `% not run` in front of a block says that it is only shown; commands must still be known with their options.
`% ends with status 1` in front of commands says how they end, otherwise with 0.
"""

import contextlib
import doctest
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from dmpcrl_ctrl.cli import app
from dmpcrl_ctrl.validation.campaign_file import load_campaign
from dmpcrl_ctrl.validation.experiment import load_experiment

_BLOCK = re.compile(
    r"^(?:(?P<shown>% not run)\n|% ends with status (?P<status>\d)\n)?"
    r"```(?P<kind>python|toml|console|output)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_FILE = re.compile(r"# ([\w/-]+\.(?:py|toml))\n")
_SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Piece:
    """A block of code of a page, by its kind and the line on which it begins; `status` is how its commands end."""

    kind: str
    text: str
    line: int
    shown_only: bool = False
    status: int = 0


def pieces(page: str) -> list[Piece]:
    """The blocks of a page that this module knows what to do with."""
    return [
        Piece(
            found["kind"],
            found["text"],
            page.count("\n", 0, found.start("text")) + 1,
            found["shown"] is not None,
            int(found["status"] or 0),
        )
        for found in _BLOCK.finditer(page)
    ]


def run_page(path: Path, folder: Path) -> dict[str, Any]:
    """Run a page's examples in `folder`; returns the names that they leave.

    Raises
    ------
    AssertionError
        Names page and line of an example that prints something else, or of a command that fails; an example's own
        exception comes out as it is, with the page in its traceback.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    with contextlib.chdir(folder):
        for piece in pieces(path.read_text(encoding="utf-8")):
            where = f"{path.name}:{piece.line}"
            if piece.kind == "output":
                assert same(piece.text, printed), f"{where}: the page says\n{piece.text}\nprinted was\n{printed}"
                printed = ""
            elif piece.kind == "console":
                printed = "".join(_command(line[2:], where, piece) for line in _commands(piece.text))
            else:
                _save(piece, folder, where)
                if piece.kind == "python" and not piece.shown_only:
                    printed = _printed_by(piece, where, names)
    return names


def same(said: str, printed: str) -> bool:
    """Whether `printed` is what the page says; spaces count as one, `...` stands for anything."""
    return doctest.OutputChecker().check_output(said.strip() + "\n", printed.strip() + "\n", _SAME)


def _printed_by(piece: Piece, where: str, names: dict[str, Any]) -> str:
    caught = io.StringIO()
    code = compile("\n" * (piece.line - 1) + piece.text, where, "exec")
    with contextlib.redirect_stdout(caught):
        exec(code, names)
    return caught.getvalue()


def _save(piece: Piece, folder: Path, where: str) -> None:
    named = _FILE.match(piece.text)
    if named is None:
        return
    file = folder / named[1]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(piece.text, encoding="utf-8")
    if piece.kind == "toml":
        read = load_campaign if "\n[controllers" in piece.text else load_experiment
        read(file)


def _commands(text: str) -> list[str]:
    return [line.partition("  #")[0] for line in text.splitlines() if line.startswith("$ ")]


def _command(line: str, where: str, piece: Piece) -> str:
    program, *words = shlex.split(line)
    if program != "dmpcrl-ctrl":
        return ""
    if piece.shown_only:
        _require_known(words, where)
        return ""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == piece.status, f"{where}: {line}: {done.output}{done.exception or ''}"
    return done.stdout


def _require_known(words: list[str], where: str) -> None:
    """A command that is only shown: its name and its options exist."""
    group: Any = get_command(app)
    command = group.commands.get(words[0])
    assert command is not None, f"{where}: there is no command {words[0]}"
    command.make_context(words[0], words[1:])
