"""The README does what it says: its Python runs as it stands, its commands and files exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
MARK = "-- next block --"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the Python of the README was run, block after block, as a reader would."""
    place = tmp_path_factory.mktemp("readme")
    script = place / "blocks.py"
    body = f"\nprint({MARK!r})\n".join(BLOCKS)
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{body}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for number, output in enumerate(done.stdout.split(MARK)):
        (place / f"block_{number}.out").write_text(output, encoding="utf-8")
    return place


def test_the_first_loop_takes_ten_lines() -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 10


def test_the_first_loop_draws_and_logs(folder: Path) -> None:
    assert (folder / "cart.h5").stat().st_size > 1000
    assert (folder / "cart.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_loop_does_what_the_text_says(folder: Path) -> None:
    from dmpcrl_ctrl.cosim import open_log

    run = open_log(folder / "cart.h5")
    speed = run.state[:, run.state_names.index("speed")]
    assert abs(run.state[-1]).max() < 0.05
    assert abs(speed).max() <= 0.4 + 1e-6
    assert abs(speed).max() >= 0.4 - 1e-3  # the limit was needed
    time, *rest = (folder / "block_1.out").read_text(encoding="utf-8").split()
    assert float(time) == 10.0
    assert float(rest[-1]) == pytest.approx(run.cost.sum())


def test_the_evaluation_is_proved(folder: Path) -> None:
    value, width, residual, *_ = (folder / "block_2.out").read_text(encoding="utf-8").split()
    assert float(value) > 0.0
    assert 0.0 <= float(width) < 1e-6 * float(value)
    assert float(residual) < 1e-9


def test_commands_and_files_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    for name in re.findall(r"examples/\w+\.toml|docs/[\w./]+", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`(\w+\.toml)`", README):
        assert (ROOT / "examples" / name).is_file(), name


def test_the_loop_in_other_tools_ends_where_the_first_one_does(folder: Path) -> None:
    from dmpcrl_ctrl.cosim import open_log

    numbers = (folder / f"block_{len(BLOCKS) - 1}.out").read_text(encoding="utf-8")
    found = [float(number) for number in re.findall(r"[-+.\de]+", numbers)]
    # the order is output by output: position and speed, through Gymnasium and through python-control
    assert found == pytest.approx([*open_log(folder / "cart.h5").state[-1]] * 2, rel=1e-6, abs=1e-8)
