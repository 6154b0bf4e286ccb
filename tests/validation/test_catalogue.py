"""What `list` shows: every kind with a line, experiments with their titles, nothing else that ends in .toml."""

from pathlib import Path
from typing import get_args

from dmpcrl_ctrl.validation.catalogue import entries
from dmpcrl_ctrl.validation.sections import Experiment

ROOT = Path(__file__).resolve().parents[2]


def test_every_kind_has_its_line() -> None:
    groups = dict(entries(ROOT))
    for heading, key in {"Plants": "plant", "Controllers": "controller"}.items():
        kinds = get_args(Experiment.model_fields[key].annotation)
        known = [get_args(kind.model_fields["kind"].annotation)[0] for kind in kinds]
        assert [name for name, _ in groups[heading]] == known
        assert all(20 < len(line) < 110 for _, line in groups[heading])


def test_every_example_is_listed_with_its_title() -> None:
    groups = dict(entries(ROOT))
    listed = dict(groups["Experiments"]) | dict(groups["Campaigns"])
    assert [Path(path).name for path, _ in groups["Campaigns"]] == ["power_campaign.toml"]
    assert set(listed) == {str(path) for path in (ROOT / "examples").glob("*.toml")}
    assert listed[str(ROOT / "examples" / "chain.toml")] == "Three-agent chain under nominal distributed MPC"


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    (tmp_path / "broken.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000, encoding="utf-8")
    ((name, line),) = dict(entries(tmp_path))["Experiments"]
    assert name == "none"
    assert str(tmp_path) in line
