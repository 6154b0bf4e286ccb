"""How a closed loop says that it had to stop: one line with the time, the participant and the reason."""

from dmpcrl_ctrl.errors import DmpcrlError, SimulationError
from dmpcrl_ctrl.messages import one_line


def stopped(time: float, who: str, error: Exception) -> SimulationError:
    """The error to raise for one that a plant or block raised at `time` seconds.

    Raises
    ------
    MemoryError
        `error` itself: being out of memory is nobody's fault here.
    """
    if isinstance(error, MemoryError):
        raise error
    reason = one_line(error) or "no reason given"
    if not isinstance(error, DmpcrlError):
        reason = f"{type(error).__name__}: {reason}"
    subject = "" if reason.startswith(f"{who}: ") else f"{who}: "
    return SimulationError(f"t = {time:.9g} s: {subject}{reason}")
