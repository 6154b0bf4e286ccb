"""Pieces of work: shares of the whole, whose plant, and the files that they leave."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.errors import CampaignError, LogError
from dmpcrl_ctrl.validation.paper import power_plant
from dmpcrl_ctrl.validation.paper_work import Extent, file_of, plant_of, results, write


def test_a_share_is_a_share_of_everything_and_at_least_one() -> None:
    assert Extent.share(1.0) == Extent()
    assert Extent.share(0.1) == Extent(2000, 1000, 10, 1, 10, 2, 100, 200)
    assert Extent.share(1e-6) == Extent(1, 1, 1, 1, 1, 1, 100, 1)
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(CampaignError, match=r"share must lie in \(0, 1\]"):
            Extent.share(wrong)


def test_the_plant_of_an_evaluation_has_the_published_noise() -> None:
    assert plant_of("chain", "published", evaluation=True).disturbance_names == ("e",)
    assert plant_of("chain", "published").disturbance_names == ("e_1", "e_2", "e_3")
    assert plant_of("power", "published").state_names == power_plant().state_names


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "duals.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(LogError, match=r"duals\.npz cannot be read"):
        results("duals", tmp_path)


def test_a_file_is_there_complete_or_not_at_all(tmp_path: Path) -> None:
    file = file_of("duals", tmp_path / "data")
    write(file, {"a": np.arange(3.0)})
    assert results("duals", file.parent)["a"].tolist() == [0.0, 1.0, 2.0]
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o644
    with pytest.raises(ValueError, match="allow_pickle"):
        write(file, {"a": np.array([object()])})
    assert [path.name for path in file.parent.iterdir()] == ["duals.npz"]
