"""Parametrizations: the numbers theta that learning moves, the local model that they make, and the way back.

    theta -> LocalModel -> V, Q        and        dV/dLocalModel -> dV/dtheta

The second map, the pullback, is the adjoint of the derivative of the first. Each agent has its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parts import COUPLINGS, Field, Fields, Mask, Part, Theta, label

_NOT_NUMBERS = ("terminal_equality", "declared")


class Parametrization:
    """theta -> LocalModel with its pullback, put together from parts.

    Parameters
    ----------
    base
        The model at the initial theta; what no part moves stays as it is.
    parts
        :class:`~dmpcrl_ctrl.parts.Free`, :class:`~dmpcrl_ctrl.parts.Shared`,
        :class:`~dmpcrl_ctrl.parts.SemidefiniteFactor`, or anything else that is a :class:`~dmpcrl_ctrl.parts.Part`.

    Attributes
    ----------
    initial : dict
        Name -> array: theta read off the base model.

    Raises
    ------
    ModelError
        A field that does not exist, a wrong shape, two parameters of one name, two parts that move the same entry
        (unless both only add to it).

    Examples
    --------
    >>> from dmpcrl_ctrl.parts import Free, SemidefiniteFactor
    >>> model = LocalModel(A=[[0.9]], B=[[1.0]], Q=[[4.0]], R=[[1.0]])
    >>> learned = Parametrization(model, [Free("A"), Free("b"), SemidefiniteFactor("Q")])
    >>> learned.initial
    {'A': array([[0.9]]), 'b': array([0.]), 'Q/factor': array([[2.]])}
    >>> learned.model(learned.initial | {"Q/factor": [[3.0]]}).Q
    array([[9.]])
    """

    def __init__(self, base: LocalModel, parts: Iterable[Part]) -> None:
        if not isinstance(base, LocalModel):
            raise ModelError(f"a parametrization has one agent's LocalModel behind it, got {type(base).__name__}")
        self.base = base
        self.parts = tuple(parts) if isinstance(parts, Iterable) else (parts,)
        for part in self.parts:
            if not isinstance(part, Part):
                raise ModelError(f"parts are Free(...), Shared(...) and the like, got {part!r}")
        self._fields = fields_of(base)
        self._moved = moved_together(self.parts, self._fields)
        self.initial = initial_together(self.parts, self._fields)

    def model(self, theta: Mapping[str, ArrayLike]) -> LocalModel:
        """The local model at `theta`; ModelError where theta lacks a name, or the model is none (see LocalModel)."""
        return self.base.moved(applied_together(self.parts, self._fields, self._checked(theta)))

    def pullback(self, theta: Mapping[str, ArrayLike], gradient: Mapping[str, Any]) -> dict[str, Array]:
        """Derivative by theta of a value whose derivative by the model is known.

        Parameters
        ----------
        theta
            Where the derivative is taken: the theta of the model that the gradient belongs to.
        gradient
            Name of a field of LocalModel -> derivative by it, every entry on its own; see
            :func:`~dmpcrl_ctrl.gradient.parameter_gradient`. Other keys are not used.

        Returns
        -------
        dict
            Name -> array of the shape of theta[name].

        Raises
        ------
        ModelError
            A parameter moves an entry whose derivative is not known (NaN): its column of x_j is not declared.
        """
        if not isinstance(gradient, Mapping):
            raise ModelError(
                "the gradient of one agent is a mapping, such as evaluation.gradient[0]; got " + type(gradient).__name__
            )
        point = self._checked(theta)
        pulled: dict[str, Array] = {}
        for part, moved in zip(self.parts, self._moved, strict=True):
            pulled |= part.pullback(point, {field: _known(gradient, field, mask) for field, mask in moved.items()})
        return pulled

    def _checked(self, theta: Mapping[str, ArrayLike]) -> dict[str, Array]:
        for name in theta:
            if name not in self.initial:
                near = get_close_matches(name, self.initial, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.initial) or 'none'}"
                raise ModelError(f"parameter {name!r} does not exist; {hint}")
        missing = [name for name in self.initial if name not in theta]
        if missing:
            raise ModelError(f"theta lacks {', '.join(missing)}; take what does not change from `initial`")
        return {name: checked(name, theta[name], start.shape) for name, start in self.initial.items()}


def fields_of(model: LocalModel) -> dict[Field, Array]:
    """All that a part can move: arrays by name (V0 has shape ()), blocks of couplings by name and neighbour."""
    found: dict[Field, Array] = {}
    for name in (field.name for field in fields(model)):
        if name in COUPLINGS:
            found |= {(name, j): block for j, block in getattr(model, name).items()}
        elif name not in _NOT_NUMBERS:
            found[name] = np.asarray(getattr(model, name), dtype=np.float64)
    return found


def moved_together(parts: Sequence[Part], base: Fields) -> list[dict[Field, Mask]]:
    """`moved` of every part; ModelError where two of them move an entry that they cannot share."""
    moved = [part.moved(base) for part in parts]
    for (one, first), (two, second) in combinations(zip(parts, moved, strict=True), 2):
        for field in first.keys() & second.keys() if not (one.additive and two.additive) else ():
            for at in np.argwhere(first[field] & second[field]):
                names = " and ".join(", ".join(part.initial(base)) for part in (one, two))
                raise ModelError(f"{names} both move {label(field, at)}; leave it out of one of them")
    return moved


def initial_together(parts: Sequence[Part], base: Fields) -> dict[str, Array]:
    """Theta of all parts; ModelError where two parameters have one name."""
    theta: dict[str, Array] = {}
    for part in parts:
        own = part.initial(base)
        for name in own.keys() & theta.keys():
            raise ModelError(f"two parameters have the name {name!r}; give one of them another")
        theta |= own
    return theta


def applied_together(parts: Sequence[Part], base: Fields, theta: Theta) -> dict[Field, Array]:
    """The fields that the parts change, with all their changes."""
    changed: dict[Field, Array] = {}
    for part in parts:
        changed |= part.applied({**base, **changed}, theta)
    return changed


def _known(gradient: Mapping[str, Any], field: Field, mask: Mask) -> Array:
    """The derivative by the entries that are moved, zero elsewhere; ModelError where one of them is not known."""
    if isinstance(field, str):
        array = np.asarray(gradient[field], dtype=np.float64)
    else:
        array = np.asarray(gradient[field[0]].get(field[1], np.full(mask.shape, np.nan)), dtype=np.float64)
    if array.shape != mask.shape:
        raise ModelError(f"gradient of {label(field)} has shape {array.shape}, expected {mask.shape}")
    finite = np.isfinite(array)
    for at in () if finite.all() else np.argwhere(mask & ~finite):
        cause = (
            "the evaluation that it comes from has failed"
            if isinstance(field, str)
            else f"declare the column: declared={{{field[1]}: ({at[1]},)}} of the model"
        )
        raise ModelError(f"a parameter moves {label(field, at)}, whose derivative is {array[tuple(at)]}: {cause}")
    return np.where(mask, array, 0.0)
