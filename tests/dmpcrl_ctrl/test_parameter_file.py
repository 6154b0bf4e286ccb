"""Learned parameters survive a file bit by bit, and a file that does not fit is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.parameter_file import load_parameters, save_parameters

NAMES = ("area_1", "area_2")
THETA = ({"A": np.array([[0.1, 1.0 / 3.0]]), "V0": np.array(-2e-300)}, {"b": np.array([1e17, -0.0])})


def test_parameters_come_back_bit_by_bit(tmp_path: Path) -> None:
    save_parameters(tmp_path / "learned.json", NAMES, THETA)
    found = load_parameters(tmp_path / "learned.json", NAMES, THETA)
    for mine, theirs in zip(found, THETA, strict=True):
        assert list(mine) == list(theirs)
        assert all(mine[part].tobytes() == theirs[part].tobytes() for part in mine)


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "learned.json"
    save_parameters(path, NAMES, THETA)
    before = path.read_bytes()
    with pytest.raises(LearningError, match=r"learned\.json exists"):
        save_parameters(path, NAMES, THETA)
    assert path.read_bytes() == before
    save_parameters(path, NAMES, ({"A": np.zeros((1, 2)), "V0": np.array(1.0)}, THETA[1]), overwrite=True)
    assert load_parameters(path, NAMES, THETA)[0]["V0"] == 1.0
    assert [file.name for file in tmp_path.iterdir()] == ["learned.json"]


def test_parameters_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "learned.json"
    save_parameters(path, NAMES, THETA)
    with pytest.raises(LearningError, match="holds parameters of area_1, area_2; this network has agent_1"):
        load_parameters(path, ["agent_1"], THETA[:1])
    with pytest.raises(LearningError, match=r"area_2 has b; expected b, f"):
        load_parameters(path, NAMES, (THETA[0], {"b": np.zeros(2), "f": np.zeros(1)}))
    with pytest.raises(LearningError, match=r"area_2, b: expected finite numbers of shape \(3,\), got \(2,\)"):
        load_parameters(path, NAMES, (THETA[0], {"b": np.zeros(3)}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is no file of parameters"),
        ('{"agents": {}}', "does not begin with format"),
        ("[1, 2]", "does not begin with format"),
        ("\x89HDF\r\n", "is no file of parameters"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x").write_text(text, encoding="utf-8")
    with pytest.raises(LearningError, match=message):
        load_parameters(tmp_path / "x", NAMES, THETA)


def test_a_missing_file_a_folder_and_numbers_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="there is no file"):
        load_parameters(tmp_path / "none.json", NAMES, THETA)
    with pytest.raises(LearningError, match="cannot be read"):
        load_parameters(tmp_path, NAMES, THETA)
    path = tmp_path / "learned.json"
    save_parameters(path, NAMES, THETA)
    content = json.loads(path.read_text())
    content["agents"]["area_2"]["b"] = [1.0, float("nan")]
    path.write_text(json.dumps(content))
    with pytest.raises(LearningError, match="area_2, b: expected finite numbers"):
        load_parameters(path, NAMES, THETA)
    content["agents"]["area_2"]["b"] = ["one", "two"]
    path.write_text(json.dumps(content))
    with pytest.raises(LearningError, match="area_2, b: not an array of numbers"):
        load_parameters(path, NAMES, THETA)
