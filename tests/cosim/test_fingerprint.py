"""A fingerprint is the same in the file as before it was written, and another one after any change."""

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from dmpcrl_ctrl.controllers import CentralizedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.fingerprint import CHECKSUM, fingerprint_of_log, row_digests
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.plants import chain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    plant = chain()
    simulate(plant, CentralizedMPC.for_plant(plant, 3), t_end=2, log=tmp_path / "run.h5", dense=2).close()
    return tmp_path / "run.h5"


def fingerprints(path: Path) -> tuple[str, str]:
    """The one in the file, and the file's."""
    reader = LogReader.open(path)
    try:
        return str(reader.attributes()[CHECKSUM]), fingerprint_of_log(reader)
    finally:
        reader.close()


def test_it_survives_the_file(path: Path) -> None:
    claimed, found = fingerprints(path)
    assert claimed == found and len(found) == 64


def test_every_fixed_array_and_attribute_counts_and_no_row(path: Path) -> None:
    reader = LogReader.open(path)
    fixed, growing = reader.fixed(), reader.growing()
    reader.close()
    assert "controller/mpc/model/agent_1/A" in fixed and "plant/state" in growing and not set(fixed) & set(growing)
    before, _ = fingerprints(path)
    for array in fixed:
        with h5py.File(path, "r+") as file:
            kept = file[array][()]
            changed = kept.copy()
            changed.flat[0] = b"other" if kept.dtype == object else (7 if kept.flat[0] != 7 else 8)
            file[array][...] = changed
        assert fingerprints(path)[1] != before, array
        with h5py.File(path, "r+") as file:
            file[array][...] = kept
    with h5py.File(path, "r+") as file:
        file["plant/state"][0, 0] = 9.0
    assert fingerprints(path)[1] == before
    with h5py.File(path, "r+") as file:
        file["controller/mpc/model"].attrs["discount"] = 0.5
    assert fingerprints(path)[1] != before


def test_rows_are_hashed_one_by_one_in_the_order_of_their_paths() -> None:
    columns = {"b": np.array([[1.0, 2.0], [3.0, 4.0]]), "a": np.array([5, 6], dtype="i4"), "none": np.zeros((2, 0))}
    found = row_digests(columns)
    for k in range(2):
        row = columns["a"][k].tobytes() + columns["b"][k].tobytes()
        assert found[k].tobytes() == hashlib.sha256(row).digest()
