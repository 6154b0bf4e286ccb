"""Text to tables and back: the writer is undone by Python's own TOML parser, the line finder agrees with the eye."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.toml_text import line_of, parse, read_text, shorten, split_key, write

TEXT = """\
# heading
title = "x"

[plant]
kind = "chain"
limits = [
  [0, 1],   # a list over
  [2, 3],   # several lines
]
noise = { low = 0.0, high = 1.0 }

[controller.admm]
iterations = 5
"""

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
tables: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), scalars, max_size=4),
    lambda inner: st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.one_of(scalars, st.lists(scalars, max_size=3), st.lists(inner, max_size=2), inner),
        max_size=4,
    ),
    max_leaves=12,
)


@given(tables)
def test_what_is_written_reads_back_the_same(table: dict[str, Any]) -> None:
    assert tomllib.loads(write(table)) == table


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("plant",), 4),
        (("plant", "kind"), 5),
        (("plant", "limits"), 6),
        (("plant", "limits", 1), 6),
        (("plant", "noise", "high"), 10),
        (("controller",), 12),
        (("controller", "admm", "iterations"), 13),
        (("plant", "absent"), 4),
        (("absent",), None),
    ],
)
def test_the_line_of_a_key(path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(TEXT, path) == line


@given(st.integers(0, 30), st.integers(0, 4))
def test_the_line_of_a_key_among_comments_and_blank_lines(before: int, gap: int) -> None:
    text = "# x\n" * before + "a = 1\n" + "\n" * gap + 'b = """\nlong\n"""\n' + "[t]\nc = 2\n"
    assert line_of(text, ("a",)) == before + 1
    assert line_of(text, ("b",)) == before + gap + 2
    assert line_of(text, ("t", "c")) == before + gap + 6


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xef\xbb\xbftitle = 1", "byte order mark (byte 0)"),
        (b"a = 1\nb = 'c\xf4t\xe9'", ":2: byte 12 (0xf4) is not UTF-8"),
        (b"a = 1\n\nb = '\x00'", ":3: byte 12 is NUL"),
        (b"a = 1 #" + b"x" * 1_000_000, "is larger than 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_text(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "e.toml"
    path.write_bytes(data)
    with pytest.raises(ExperimentError) as caught:
        read_text(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"none\.toml cannot be read: No such file"):
        read_text(tmp_path / "none.toml")
    with pytest.raises(ExperimentError, match="is a folder"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\na = 2\n", "line 2"),
        ("a = [" + "[" * 5000, "nested too deeply"),
        ("a = " + "{a=" * 2000 + "1" + "}" * 2000, "nested too deeply"),
        ("a = " + "1" * 5000, "too many digits"),
        ("\na = 0x" + "f" * 5000, "e.toml:2: a is an integer of more than 64 bits"),
        (".".join("a" * 3000) + " = 1", "levels deep"),
        ("a = '" + "x" * 20_000 + "'", "more than 10000"),
        ("a = \n", "line 1"),
    ],
)
def test_text_that_is_no_use(text: str, words: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        parse(text, "e.toml")
    assert str(caught.value).startswith("e.toml:")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_key_is_split_as_toml_splits_it() -> None:
    assert split_key("plant.scenario") == ("plant", "scenario")
    assert split_key('plant."a.b"') == ("plant", "a.b")
    for bad in ("", "a.", "a b", "a = 1\nb", "[a]", "# a"):
        with pytest.raises(ExperimentError, match="is not a key"):
            split_key(bad)


def test_a_value_is_shown_on_one_short_line() -> None:
    assert shorten("a\nb") == '"a b"'
    assert shorten(10**5000) == "an integer of more than 64 bits"
    assert len(shorten("x" * 1000)) <= 60
    shown: list[tuple[object, str]] = [(True, "true"), (1.5, "1.5"), ([1], "a list"), ({}, "a table")]
    for value, text in shown:
        assert shorten(value) == text


def test_a_long_list_is_written_over_several_lines_and_read_again() -> None:
    matrix = [[float(row) / 3.0 + column for column in range(40)] for row in range(40)]
    text = write({"table": {"matrix": matrix, "inside": [{"vector": matrix[0] * 40}]}})
    assert max(map(len, text.splitlines())) < 2_000
    assert parse(text, "again") == {"table": {"matrix": matrix, "inside": [{"vector": matrix[0] * 40}]}}
