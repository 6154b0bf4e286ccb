"""The house rules that no tool checks: who may import whom, one import name, nothing of this machine in the files."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAYER = {"dmpcrl_ctrl": 0, "plants": 1, "controllers": 1, "cosim": 2, "validation": 3}
FRONT_DOOR = ("dmpcrl_ctrl/cli.py", "dmpcrl_ctrl/__main__.py")
SOURCES = sorted(path for folder in LAYER for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
# What is heavy or may be missing stands behind a few files, so that it can be guarded and replaced.
BEHIND = {
    "proxsuite": ("dmpcrl_ctrl/proxqp.py",),
    "qpsolvers": ("dmpcrl_ctrl/backends.py",),
    "h5py": ("cosim/",),
    "distributed": ("validation/executors.py",),
    "mpi4py": ("validation/executors.py",),
    "pydantic": (
        "validation/section.py",
        "validation/sections.py",
        "validation/learning_section.py",
        "validation/campaign_sections.py",
        "validation/experiment.py",
    ),
    "jinja2": ("validation/report.py",),
    "typer": (*FRONT_DOOR, "validation/terminal.py"),
    "rich": ("dmpcrl_ctrl/cli.py", "validation/terminal.py", "validation/watch_screen.py"),
    "hypothesis": ("validation/strategies.py",),
    "mosaik_api_v3": ("cosim/adapters/mosaik.py", "cosim/adapters/mosaik_sampled.py"),
    "gymnasium": ("cosim/adapters/gym.py",),
    "pettingzoo": ("cosim/adapters/pettingzoo.py",),
    "pythonfmu": ("cosim/adapters/fmu_export.py", "cosim/adapters/fmu_slave.py"),
    "fmpy": ("cosim/adapters/fmu_file.py", "cosim/adapters/fmu_instance.py"),
    "matplotlib": ("cosim/plot.py", "validation/drawing.py"),
}

# Every other source file has a test file of its own in the folder of its name.
TESTED_ELSEWHERE = {
    "dmpcrl_ctrl/cli.py": "tests/test_cli.py",
    "validation/terminal.py": "tests/test_cli.py",
    "dmpcrl_ctrl/__main__.py": "tests/test_cli.py",
}
# Only tested through others so far.
WITHOUT_OWN_TEST = {
    "controllers/signals.py",
    "cosim/missing.py",
    "dmpcrl_ctrl/central.py",
    "dmpcrl_ctrl/errors.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, "." * node.level + f"{node.module or ''}.{alias.name}"


def at_run_time(tree: ast.Module) -> ast.Module:
    """The module without what only a type checker reads."""

    class Without(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            self.generic_visit(node)
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else node

    return Without().visit(tree)


def folder_of(module: str) -> str | None:
    first, _, rest = module.partition(".")
    if first != "dmpcrl_ctrl":
        return None
    second = rest.partition(".")[0]
    return second if second in LAYER else "dmpcrl_ctrl"


def faults(name: str, tree: ast.AST) -> list[str]:
    here = name.split("/")[0]
    found = []
    for line, module in imported(tree):
        there = folder_of(module)
        if module.startswith("."):
            found.append(f"{name}:{line}: relative import of {module}")
        elif module.split(".")[0] in LAYER and there is None:
            found.append(f"{name}:{line}: {module} has a second name, dmpcrl_ctrl.{module}")
        elif there not in (None, here) and LAYER[here] <= LAYER[there] and name not in FRONT_DOOR:
            found.append(f"{name}:{line}: {here} may not import {there} ({module})")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    assert faults(name_of(path), ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("plants/x.py", "from dmpcrl_ctrl.controllers import LQR"),
        ("controllers/x.py", "import dmpcrl_ctrl.plants.zoh"),
        ("dmpcrl_ctrl/x.py", "from dmpcrl_ctrl import cosim"),
        ("cosim/x.py", "from dmpcrl_ctrl.validation.metrics import summarise"),
        ("validation/x.py", "from plants import chain"),
        ("validation/x.py", "from .metrics import summarise"),
    ],
)
def test_the_import_law_finds_a_planted_fault(name: str, line: str) -> None:
    assert len(faults(name, ast.parse(line))) == 1


@cache
def users_of_packages() -> dict[str, set[str]]:
    """Package -> our files that import it when they run."""
    users: dict[str, set[str]] = {}
    for path in SOURCES:
        for _, module in imported(at_run_time(ast.parse(path.read_text(encoding="utf-8")))):
            users.setdefault(module.split(".")[0], set()).add(name_of(path))
    return users


@pytest.mark.parametrize("package", BEHIND)
def test_a_third_party_package_stands_behind_few_files(package: str) -> None:
    users = users_of_packages().get(package, set())
    assert {user for user in users if not user.startswith(BEHIND[package])} == set()
    assert users  # else the line in the table is stale


def test_the_wheel_lists_every_folder_that_holds_code() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT).as_posix() for path in SOURCES}
    mapped = setuptools["package-dir"]
    assert sorted(setuptools["packages"]) == sorted(mapped)
    assert folders == set(mapped.values())
    assert {name: folder for name, folder in mapped.items() if name != "dmpcrl_ctrl"} == {
        f"dmpcrl_ctrl.{folder.replace('/', '.')}": folder for folder in folders - {"dmpcrl_ctrl"}
    }
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_why_it_exists(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None
    assert len(docstring.split()) >= 4


def test_tests_mirror_the_source() -> None:
    def mirror(path: Path) -> str:
        return f"tests/{name_of(path.parent)}/test_{path.stem}.py"

    there = {name_of(path) for path in TESTS}
    in_folders = {name for name in there if name.split("/")[1] in LAYER and name.split("/")[2].startswith("test_")}
    assert sorted(in_folders - {mirror(path) for path in SOURCES}) == []
    untested = {name_of(path) for path in SOURCES if path.stem != "__init__" and mirror(path) not in there}
    assert sorted(untested - TESTED_ELSEWHERE.keys() - WITHOUT_OWN_TEST) == []
    assert sorted((TESTED_ELSEWHERE.keys() | WITHOUT_OWN_TEST) - untested) == []  # else the line in the table is stale
    assert {test for test in TESTED_ELSEWHERE.values() if not (ROOT / test).is_file()} == set()


def files_of_the_project() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def test_no_file_holds_a_path_of_one_machine() -> None:
    home = re.compile(r"(?<![\w.:/~$}<-])/(home|root|Users|tmp|work|opt|mnt|srv|var|private)/[\w.-]+")
    texts = {".py", ".md", ".toml", ".j2", ".sh", ""}
    found = [
        f"{name_of(path)}:{number}"
        for path in files_of_the_project()
        if path.suffix in texts
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if home.search(line)
    ]
    assert found == []


def test_nothing_binary_is_kept_but_pictures() -> None:
    unwanted = {".pkl", ".pickle", ".npy", ".npz", ".h5", ".so", ".whl", ".gz"}
    assert [name_of(path) for path in files_of_the_project() if path.suffix in unwanted] == []


def test_the_makefile_accepts_the_pythons_of_the_project() -> None:
    match = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"])
    assert match is not None
    lower, upper = match.groups()
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"(3, {lower}) <= sys.version_info[:2] < (3, {upper})" in text
    assert f"3.{lower} to 3.{int(upper) - 1}" in text


def test_every_dependency_is_bounded_above() -> None:
    project = PROJECT["project"]
    open_ended = [line for line in project["dependencies"] if "<" not in line.split(";")[0]]
    assert open_ended == []


def test_the_versions_agree() -> None:
    import dmpcrl_ctrl

    assert dmpcrl_ctrl.__version__ == PROJECT["project"]["version"]
    assert f"## {dmpcrl_ctrl.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, dmpcrl_ctrl.cli; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"control", "matplotlib", "scipy", "h5py", "jinja2", "pydantic", "proxsuite", "qpsolvers", "networkx"}
    assert heavy & set(done.stdout.split()) == set()
