import pytest

from dmpcrl_ctrl.cosim.faults import stopped
from dmpcrl_ctrl.errors import PlantError, SimulationError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no"), "t = 0.1 s: pid: ValueError: no"),
        (ValueError("two\n  lines"), "t = 0.1 s: pid: ValueError: two lines"),
        (KeyError(), "t = 0.1 s: pid: KeyError: no reason given"),
        (PlantError("state is nan"), "t = 0.1 s: pid: state is nan"),
        (PlantError("pid: state is nan"), "t = 0.1 s: pid: state is nan"),
    ],
)
def test_one_line_tells_when_who_and_why(error: Exception, message: str) -> None:
    made = stopped(0.1, "pid", error)
    assert isinstance(made, SimulationError) and str(made) == message


def test_long_times_are_not_rounded_away() -> None:
    assert str(stopped(99_999.9, "pid", ValueError("no"))).startswith("t = 99999.9 s: ")


def test_being_out_of_memory_is_nobodys_fault() -> None:
    with pytest.raises(MemoryError, match="all of it"):
        stopped(0.1, "pid", MemoryError("all of it"))
