"""A closed loop as arrays, in the form that a plant's performance indices take."""

from dataclasses import dataclass

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError


@dataclass(frozen=True, eq=False)
class Trajectory:
    """K samples of a plant with n states, m control inputs, nd disturbances.

    Parameters
    ----------
    time
        (K + 1,): seconds.
    state
        (K + 1, n): at these times.
    input
        (K, m): control inputs as applied (after saturation) from time k on.
    disturbance
        (K, nd): just after time k.
    setpoint
        (K, n + m): set points of states and inputs just after time k.
    state_names, input_names, disturbance_names
        Of the columns.
    """

    time: Array
    state: Array
    input: Array
    disturbance: Array
    setpoint: Array
    state_names: tuple[str, ...]
    input_names: tuple[str, ...]
    disturbance_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, m, samples = len(self.state_names), len(self.input_names), len(self.time) - 1
        wanted = {
            "state": (samples + 1, n),
            "input": (samples, m),
            "disturbance": (samples, len(self.disturbance_names)),
            "setpoint": (samples, n + m),
        }
        for field, shape in wanted.items():
            if getattr(self, field).shape != shape:
                raise PlantError(f"trajectory: {field} has shape {getattr(self, field).shape}, expected {shape}")

    @property
    def samples(self) -> int:
        """K."""
        return len(self.time) - 1
