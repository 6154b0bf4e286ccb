from collections.abc import Callable
from typing import Any

import pytest

from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.signal_table import SignalTable
from dmpcrl_ctrl.errors import WiringError

Make = Callable[..., Any]


@pytest.fixture
def table(make_plant: Make, make_block: Make) -> SignalTable:
    plant = make_plant(
        [[0.0]], [[1.0, 1.0]], C=[[1.0], [3.0]], signals="x; u d; y z", disturbances={"d": 1.0}, name="p"
    )
    return SignalTable(Participants.of(plant, make_block("x", "u extra", lambda k, y: y, name="b"), 1))


def test_every_signal_has_its_own_cell_and_cell_zero_is_the_ground(table: SignalTable) -> None:
    cells = [cell for slices in table.cells.values() for part in slices for cell in range(part.start, part.stop)]
    assert cells == list(range(1, table.size))
    # Outputs, inputs, disturbances, set points of the plant; outputs of the block.
    assert [part.stop - part.start for part in table.cells["p"]] == [2, 1, 1, 2]
    assert [part.stop - part.start for part in table.cells["b"]] == [2]


def test_signals_answer_to_their_names(table: SignalTable) -> None:
    assert table.named("extra", "reader").label == "b.extra"
    assert table.named("p.z", "reader").kind == "output"
    alias = table.named("x", "reader")
    assert (alias.label, alias.cell) == ("p.y", table.named("y", "reader").cell)


def test_a_name_of_several_signals_must_be_qualified(table: SignalTable) -> None:
    with pytest.raises(WiringError, match=r"reader: several signals have that name \(p\.u, b\.u\)"):
        table.named("u", "reader")
    assert table.named("b.u", "reader").owner == "b"


def test_nobody_is_offered_its_own_output(table: SignalTable) -> None:
    assert table.offered("extra", "b", {}) is None
    other = table.offered("extra", "c", {})
    assert other is not None and other.owner == "b"


def test_a_plants_input_goes_before_the_block_output_that_drives_it(table: SignalTable) -> None:
    signal = table.offered("u", "c", {})
    assert signal is not None and (signal.owner, signal.kind) == ("p", "input")


def test_names_for_a_reader_leave_its_own_out(table: SignalTable) -> None:
    assert table.names_for("b") == ["d", "u", "u_ref", "x", "x_ref", "y", "z"]
    assert "extra" in table.names_for("c")


def test_a_name_finds_all_that_answer_to_it_in_their_order(table: SignalTable) -> None:
    for name in ("u", "x", "p.y", "b.extra", "nothing"):
        wanted = [signal for signal in table.signals if name in (signal.name, signal.qualified)]
        assert list(table.called(name)) == wanted
