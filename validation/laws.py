"""All laws on one controller: random states, a verdict a law, the smallest example of what fails."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from dmpcrl_ctrl.errors import DmpcrlError, LawError, LawInapplicableError, VerificationError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.validation import properties
from dmpcrl_ctrl.validation.agent_order import check_order
from dmpcrl_ctrl.validation.privacy import check_privacy
from dmpcrl_ctrl.validation.truth import signals_of
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict

Check = Callable[..., float]
_OF_DATA = ("state", "action", "disturbance", "previous_input")
_PARAMETERS = sorted({*LocalModel.__dataclass_fields__, *_OF_DATA} - {"declared", "terminal_equality"})
_CRASHES = (ArithmeticError, AttributeError, DmpcrlError, LookupError, RuntimeError, TypeError, ValueError)
# so many examples see every parameter once
_GROUPS = 8


def _of_v(check: Check) -> Check:
    return lambda controller, case: check(controller, case.state)


def _of_v_and_q(check: Check) -> Check:
    return lambda controller, case: check(controller, case.state, case.action)


def _gradient(controller: Any, case: Any) -> float:
    """A part of the parameters, another one with each example."""
    names = _PARAMETERS[case.seed % _GROUPS :: _GROUPS]
    return properties.check_gradient(controller, case.state, case.action, seed=case.seed, parameters=names)


def _bellman(controller: Any, case: Any) -> float:
    return properties.check_bellman(controller, case.state, seed=case.seed)


def _order(controller: Any, case: Any) -> float:
    return check_order(controller, case.state, case.action, seed=case.seed)


LAWS: dict[str, Check] = {
    "Bellman: V(s) = min Q(s, a)": _bellman,
    "policy: V(s) = Q(s, pi(s))": _of_v(properties.check_policy),
    "optimality (KKT)": _of_v_and_q(properties.check_kkt),
    "dual recovery": _of_v_and_q(properties.check_duals),
    "gradient = finite difference": _gradient,
    "distributed = centralised": _of_v_and_q(properties.check_central),
    "order of agents": _order,
    "averaging preserves the sum": _of_v_and_q(properties.check_averaging),
    "bracket holds the value": _of_v_and_q(properties.check_bracket),
    "privacy": _of_v_and_q(check_privacy),
}


def verify_block(target: str, *, examples: int = 20, seed: int = 0) -> list[Verdict]:
    """Check every law on a controller that is named by where it stands.

    Parameters
    ----------
    target
        "package.module:attribute" or "path/to/file.py:attribute": a controller with `evaluate` and `problem`, or a
        function without arguments that returns one. The module is imported, so that its code runs.
    examples
        Number of states at which each law is checked.
    seed
        Of the states.

    Raises
    ------
    VerificationError
        There is no such module or attribute, it cannot be imported, it is no controller, Hypothesis is not installed.
    """
    return verify_controller(loaded(target), examples=examples, seed=seed)


def verify_controller(
    controller: Any, *, examples: int = 20, seed: int = 0, states: Any = None, laws: dict[str, Check] | None = None
) -> list[Verdict]:
    """Check every law on a controller.

    Parameters
    ----------
    controller, examples, seed
        As for :func:`verify_block`.
    states
        Hypothesis strategy of states, such as lists of floats; by default within the bounds of the models, see
        :func:`~dmpcrl_ctrl.validation.strategies.situations`.
    laws
        Names and checks, each called with the controller and a
        :class:`~dmpcrl_ctrl.validation.strategies.Situation`; all of :data:`LAWS` where None.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise VerificationError("the laws need Hypothesis: pip install 'dmpcrl-ctrl[laws]'")
    chosen = LAWS if laws is None else laws
    return [_verdict(name, check, controller, examples, seed, states) for name, check in chosen.items()]


def loaded(target: str) -> Any:
    """The controller that a target names; see :func:`verify_block`."""
    where, colon, attribute = target.rpartition(":")
    if not colon or not where or not attribute:
        raise VerificationError(f"expected package.module:attribute or path/to/file.py:attribute, got {target!r}")
    module = _module(where)
    found: Any = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            known = ", ".join(sorted(n for n in vars(module) if not n.startswith("_"))[:12])
            raise VerificationError(f"{where} has no attribute {attribute!r}; it has {known or 'none'}")
        found = getattr(found, name)
    if not _is_controller(found) and callable(found):
        found = _called(target, found)
    if not _is_controller(found):
        raise VerificationError(f"{target} is a {type(found).__name__}, not a controller with `evaluate` and `problem`")
    return found


def _is_controller(found: Any) -> bool:
    return not isinstance(found, type) and callable(getattr(found, "evaluate", None)) and hasattr(found, "problem")


def _called(target: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        raise VerificationError(f"calling {target} failed: {_in_one_line(error)}") from error


def _module(where: str) -> ModuleType:
    path = Path(where)
    try:
        # as `python file.py` and `python -m module` would find what stands beside them
        beside = str(path.parent.resolve()) if path.suffix == ".py" else str(Path.cwd())
        if beside not in sys.path:
            sys.path.insert(0, beside)
        if path.suffix != ".py":
            return importlib.import_module(where)
        if not path.is_file():
            raise VerificationError(f"there is no file {where}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
    except VerificationError:
        raise
    except Exception as error:
        raise VerificationError(f"importing {where} failed: {_in_one_line(error)}") from error
    return module


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@dataclass
class _Record:
    """What a law found over the examples."""

    checked: int = 0
    worst: float = 0.0
    reason: str = ""
    broken: dict[Any, str] = field(default_factory=dict)


def _verdict(name: str, check: Check, controller: Any, examples: int, seed: int, states: Any) -> Verdict:
    from dmpcrl_ctrl.validation.strategies import situations, smallest

    record, tried = _Record(), 0

    def fails(case: Any) -> bool:
        nonlocal tried
        if case in record.broken:
            return True
        # the search for a smaller example is given as many checks as the search for one
        tried += 1
        if record.broken and tried > 3 * examples:
            return False
        try:
            record.worst = max(record.worst, check(controller, case))
            record.checked += 1
        except LawInapplicableError as reason:
            record.reason = str(reason)
        except LawError as error:
            record.broken[case] = str(error)
        except _CRASHES as error:
            record.broken[case] = f"the controller raised {_in_one_line(error)}"
        return case in record.broken

    case = smallest(situations(controller.problem, signals_of(controller), states), fails, examples, seed)
    if case is not None:
        return Verdict(name, Outcome.FAILED, record.broken[case], case.text)
    if not record.checked:
        return Verdict(name, Outcome.SKIPPED, record.reason or "no example was drawn")
    return Verdict(
        name, Outcome.PASSED, f"largest deviation {record.worst:.2g} in {record.checked} of {tried} examples"
    )
