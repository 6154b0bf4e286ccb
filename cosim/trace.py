"""What a log holds of one controller."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.messages import unknown


def row_names(reader: LogReader, name: str) -> tuple[str, ...]:
    """Arrays of a controller that have a row for every sample; others hold its models and units."""
    own = reader.names(f"controller/{name}")
    return tuple(
        p for p in own if p not in ("input_unit", "output_unit", "input_source") and not p.startswith("model/")
    )


class ControllerTrace:
    """One controller over K samples; its fields are attributes and items: `trace.value`, `trace["plan/area_1"]`.

    Attributes
    ----------
    name
        Of the controller.
    fields
        Names of what its record holds.
    sample_time, offset, delay
        Seconds.
    """

    def __init__(self, reader: LogReader, name: str, samples: int) -> None:
        self.name = name
        self._reader, self._samples, self._group = reader, samples, f"controller/{name}"
        attributes = reader.attributes(self._group)
        times = (attributes.get(key) for key in ("sample_time", "offset", "delay"))
        self.sample_time, self.offset, self.delay = (float("nan") if t is None else float(t) for t in times)
        self.fields = tuple(path for path in row_names(reader, name) if path not in ("input", "output", "due"))

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Signals that it measures."""
        return self._reader.labels(f"{self._group}/input_name")

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Signals that it sends out."""
        return self._reader.labels(f"{self._group}/output_name")

    @cached_property
    def input(self) -> Array:
        """(K, len(input_names)): what it measured; NaN before its first sample."""
        return self._matrix("input", len(self.input_names))

    @cached_property
    def output(self) -> Array:
        """(K, len(output_names)): what it sent out, not yet saturated."""
        return self._matrix("output", len(self.output_names))

    @cached_property
    def due(self) -> NDArray[np.bool_]:
        """(K,): where it was its turn; elsewhere its last values are repeated."""
        return np.asarray(self._reader.array(f"{self._group}/due", self._samples), dtype=bool)

    def row(self, field: str, k: int) -> NDArray[Any]:
        """Row k of a field, which alone is read."""
        return np.asarray(self._reader.array(f"{self._group}/{field}", k + 1, k)[0])

    def unit(self, field: str) -> str:
        """Unit of a field, "1" for a number without unit."""
        return str(self._reader.dataset_attributes(f"{self._group}/{field}").get("units", "1"))

    def flags(self, field: str) -> dict[int, str]:
        """Value -> name of a field that is an enumeration, without that of missing values; empty of any other."""
        given = self._reader.dataset_attributes(f"{self._group}/{field}")
        values, names = given.get("flag_values", ()), str(given.get("flag_meanings", "")).split()
        fill = given.get("_FillValue")
        return {int(value): name for value, name in zip(values, names, strict=False) if value != fill}

    def __getitem__(self, field: str) -> NDArray[Any]:
        if field not in self.fields:
            raise LogError(unknown(field, self.fields, f"{self._reader.name}: field of controller {self.name!r}:"))
        return self._reader.array(f"{self._group}/{field}", self._samples)

    def __getattr__(self, field: str) -> NDArray[Any]:
        if field.startswith("_") or field not in self.fields:
            raise AttributeError(unknown(field, self.fields, f"field of controller {self.__dict__.get('name')!r}:"))
        values = self[field]
        self.__dict__[field] = values
        return values

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(field for field in self.fields if field.isidentifier())]

    def __repr__(self) -> str:
        fields = ", ".join(self.fields) or "none"
        return f"<ControllerTrace {self.name!r}: every {self.sample_time:g} s, fields {fields}>"

    def _matrix(self, what: str, width: int) -> Array:
        return self._reader.array(f"{self._group}/{what}", self._samples) if width else np.zeros((self._samples, 0))
