"""One thread of linear algebra, unless somebody said otherwise."""

import os

import pytest

from dmpcrl_ctrl.threads import VARIABLES, one_thread


def test_one_thread_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "7")  # so that what is set here is undone
        monkeypatch.delenv(variable)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    one_thread()
    assert {variable: os.environ[variable] for variable in VARIABLES} == {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "1",
    }
