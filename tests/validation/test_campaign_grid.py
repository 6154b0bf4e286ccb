"""Tables that are put together from several places know where each key was written."""

from pathlib import Path

from dmpcrl_ctrl.validation.campaign_grid import Draft, Origin, alternatives
from dmpcrl_ctrl.validation.campaign_sections import CampaignSection

ONE = Origin(Path("one.toml"), 'title = "T"\n[controller]\nkind = "lqr"\noffset = 1.0\n', ())
TWO = Origin(Path("two.toml"), "[controller.admm]\niterations = 3\n", ())


def draft() -> Draft:
    found = Draft(origins={(): ONE})
    found.merge(("controller",), {"kind": "lqr", "offset": 1.0}, ONE.below(("controller",)))
    return found


def test_a_key_is_found_where_it_was_written_last() -> None:
    found = draft()
    found.merge(("controller",), {"admm": {"iterations": 3}}, TWO.below(("controller",)))
    assert found.table == {"controller": {"kind": "lqr", "offset": 1.0, "admm": {"iterations": 3}}}
    assert found.found_at(("controller", "offset")) == ("one.toml:4", ("controller", "offset"))
    assert found.found_at(("controller", "admm", "iterations")) == ("two.toml:2", ("controller", "admm", "iterations"))
    assert found.found_at(("nothing",))[0] == "one.toml"


def test_another_kind_takes_nothing_over_and_a_copy_is_its_own() -> None:
    found = draft()
    other = found.copy()
    other.merge(("controller",), {"kind": "mpc"}, TWO.below(("controller",)))
    assert other.table == {"controller": {"kind": "mpc"}}
    assert found.table == {"controller": {"kind": "lqr", "offset": 1.0}}


def test_the_grid_varies_only_what_it_names() -> None:
    section = CampaignSection.model_validate(
        {
            "title": "T",
            "controllers": {"a": {}, "b": {}},
            "grid": {"controllers.b.horizon": [1, 2], "controller.certify": [True, False], "simulation.t_end": [0.5]},
        }
    )
    plants, controllers = alternatives(section, ONE)
    assert [plant.name for plant in plants] == ["t_end_0.5"]
    assert [own.name for own in controllers] == [
        "a-certify_true",
        "a-certify_false",
        "b-horizon_1-certify_true",
        "b-horizon_1-certify_false",
        "b-horizon_2-certify_true",
        "b-horizon_2-certify_false",
    ]
    assert [own.family for own in controllers] == ["a"] * 2 + ["b"] * 4
