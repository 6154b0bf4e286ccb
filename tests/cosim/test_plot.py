import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim import Run, simulate
from dmpcrl_ctrl.cosim.plot import FAILED, LIMIT, panels_of
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.status import Status

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def run(make_block: Make) -> Run:
    """Four areas under a regulator that says that its samples 2 and 3 failed."""
    plant = power_network(1)
    fields = (Field("status", dtype="i1", flags={s: s.name.lower() for s in Status}),)
    block = make_block(
        "dtheta_1",
        " ".join(plant.input_names),
        lambda k, y: (np.full(4, 0.4), {"status": 3 if k in (2, 3) else 0}),
        fields=fields,
    )
    done: Run = simulate(plant, block, t_end=20, dense=4)
    return done


def test_signals_of_one_stem_share_a_panel(run: Run) -> None:
    panels = panels_of(run)
    assert [panel.title for panel in panels] == ["dtheta", "domega", "dPm", "dPv", "dPref", "dPL"]
    assert panels[1].labels == ("1", "2", "3", "4") and panels[1].columns == (1, 5, 9, 13) and panels[1].unit == "rad/s"


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        ("x[0] x[1] p", ["x", "p"]),
        ("h1 h2 v", ["h", "v"]),
        ("x1_1 x2_1 x1_2", ["x1", "x2"]),
        ("T T_1", ["T"]),
        ("a_b c12d", ["a_b", "c12d"]),
    ],
)
def test_stems_are_found_in_the_usual_ways_of_numbering(make_plant: Make, names: str, titles: list[str]) -> None:
    n = len(names.split())
    plant = make_plant(np.zeros((n, n)), np.ones((n, 1)), signals=f"{names}; u")
    run = simulate(plant, t_end=1, connections={"plant.u": None})
    assert [panel.title for panel in panels_of(run) if panel.kind == "state"] == titles


def test_many_stems_share_panels_by_their_unit(make_plant: Make) -> None:
    names = ["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "theta", "iota", "kappa"]
    units = {name: "m" if k < 6 else "kg" for k, name in enumerate(names)}
    plant = make_plant(np.zeros((10, 10)), np.ones((10, 1)), signals=f"{' '.join(names)}; u", units=units)
    run = simulate(plant, t_end=1, connections={"plant.u": None})
    panels = panels_of(run)
    assert [(panel.title, panel.unit, len(panel.columns)) for panel in panels] == [
        ("states", "m", 6), ("states", "kg", 4), ("inputs", "", 1),
    ]  # fmt: skip
    assert panels[0].labels == tuple(names[:6])


def test_plants_share_panels_and_keep_their_names(make_plant: Make) -> None:
    plants = [make_plant(np.zeros((2, 2)), np.ones((2, 1)), signals="h_1 h_2; u", name=name) for name in ("a", "b")]
    run = simulate(plants, t_end=1, connections={"a.u": None, "b.u": None})
    assert [(panel.title, panel.labels) for panel in panels_of(run)] == [
        ("h", ("a 1", "a 2", "b 1", "b 2")), ("u", ("a", "b")),
    ]  # fmt: skip


def test_the_picture_has_states_set_points_limits_and_failures(run: Run) -> None:
    figure = run.plot()
    assert isinstance(figure, Figure)
    drawn = {ax.get_title(loc="left"): ax for ax in figure.axes if ax.get_visible()}
    # Panels follow each other down the columns; matplotlib lists them along the rows.
    assert list(drawn) == ["dtheta [rad]", "dPv [p.u.]", "domega [rad/s]", "dPref [p.u.]", "dPm [p.u.]", "dPL [p.u.]"]
    dense = run.dense
    assert dense is not None
    first = next(line for line in drawn["dtheta [rad]"].lines if line.get_label() == "1")
    assert np.array_equal(first.get_xdata(), dense[0]) and np.array_equal(first.get_ydata(), dense[1][:, 0])
    # Set points: thin and faint; area 1 and 2 have a load within these 20 s.
    assert sum(line.get_alpha() == 0.5 for line in drawn["dPm [p.u.]"].lines) == 2
    held = next(line for line in drawn["dPref [p.u.]"].lines if line.get_label() == "1")
    assert held.get_drawstyle() == "steps-post" and np.size(held.get_xdata()) == 21
    # Limits of the four inputs differ: each in the colour of its signal.
    dashed = [line for line in drawn["dPref [p.u.]"].lines if np.size(line.get_xdata()) == 2]
    heights = [float(np.asarray(line.get_ydata())[0]) for line in dashed]
    assert sorted(height for height in heights if height > 0) == [0.5, 0.55, 0.65, 0.65]
    assert all(to_hex(line.get_color()) != LIMIT.lower() for line in dashed)
    shade: Any
    (shade,) = drawn["dPref [p.u.]"].patches
    assert to_hex(shade.get_facecolor()) == FAILED.lower() and shade.get_extents().width > 0
    assert (shade.get_x(), shade.get_width()) == (2.0, 2.0)


def test_a_limit_that_all_share_is_drawn_once_in_red(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(np.zeros((2, 2)), [[1.0], [2.0]], signals="h1 h2; u", state_limits={"h1": (0, 3), "h2": (0, 3)})
    run = simulate(plant, make_block("h1", "u", lambda k, y: [1.0]), t_end=2)
    ax = run.plot().axes[0]
    red = [float(np.asarray(line.get_ydata())[0]) for line in ax.lines if to_hex(line.get_color()) == LIMIT.lower()]
    assert sorted(red) == [0.0, 3.0]


def test_chosen_signals_only(run: Run) -> None:
    figure = run.plot(signals=["dPref_2", "domega_3", "dtheta_1_ref"])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["domega [rad/s]", "dPref [p.u.]", "dtheta_ref [rad]"]
    with pytest.raises(LogError, match=r"signal 'dPref_9' does not exist; did you mean 'dPref_"):
        run.plot(signals=["dPref_9"])


def test_a_run_without_states_or_samples_is_drawn_too(make_block: Make) -> None:
    import control as ct

    from dmpcrl_ctrl.plants import Plant

    gain = Plant(ct.ss([], [], [], [[2.0]], 0, inputs=["u"], outputs=["y"], name="gain"))
    run = simulate(gain, make_block("y", "u", lambda k, y: [1.0 + k]), t_end=2)
    assert [ax.get_title(loc="left") for ax in run.plot().axes] == ["y", "u"]


def test_it_is_written_where_one_says_and_shown_by_notebooks(run: Run, tmp_path: Path) -> None:
    figure: Any = run.plot(tmp_path / "run.svg")
    assert (tmp_path / "run.svg").read_text().lstrip().startswith("<?xml")
    image = matplotlib.image.imread(io.BytesIO(figure._repr_png_()), format="png")
    assert image.shape[1] > 1000 and image[..., :3].std() > 0.05


def test_pyplot_is_left_alone() -> None:
    """In a process of its own: drawing neither imports pyplot nor chooses a backend."""
    code = (
        "import sys, control as ct\n"
        "from dmpcrl_ctrl.cosim import simulate\n"
        "from dmpcrl_ctrl.plants import Plant\n"
        "plant = Plant(ct.ss(-1, 1, 1, 0, states='x', inputs='u', outputs='x', name='p'), initial_state=[1.0])\n"
        "run = simulate(plant, t_end=1, connections={'p.u': None})\n"
        "before = 'matplotlib.pyplot' in sys.modules\n"
        "run.plot()._repr_png_()\n"
        "print(before, 'matplotlib.pyplot' in sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    before, after = done.stdout.split()
    assert before == after
