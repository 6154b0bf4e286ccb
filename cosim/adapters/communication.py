"""Which of a block's own samples belong to a communication step of a co-simulation master.

A master speaks in floats, and adds them up; a block has samples, numbered from zero. What lies within a ten-thousandth
of a sample time of a sample is taken for it.
"""

import math
from dataclasses import dataclass

from dmpcrl_ctrl.errors import FMUError

CLOSE = 1e-4


@dataclass(frozen=True)
class Communication:
    """The samples of a block or plant inside a master's time.

    Parameters
    ----------
    sample_time
        Seconds.
    start
        Seconds of the master: where sample 0 is.
    whole
        Whether nothing may happen between two samples (a continuous plant, whose inputs are held from one to the next).
    """

    sample_time: float
    start: float = 0.0
    whole: bool = False

    def position(self, time: float) -> float:
        """Of a time among the samples; an integer where it is one."""
        place = (time - self.start) / self.sample_time
        return float(round(place)) if abs(place - round(place)) <= CLOSE else place

    def due(self, number: int, time: float) -> bool:
        """Whether sample `number` is at `time`."""
        return self.position(time) == number

    def samples(self, number: int, time: float, step: float) -> int:
        """How many samples, from `number` on, begin in [time, time + step): none, one, or all of a longer step.

        Raises
        ------
        FMUError
            A step that is not positive, that begins between two samples and passes the next one, or that is longer than
            a sample time and no multiple of it.
        """
        if not (math.isfinite(time) and math.isfinite(step)) or step <= 0.0:
            raise FMUError(f"t = {time:.9g} s: a communication step of {step:g} s is none")
        begin, end = self.position(time), self.position(time + step)
        due = math.ceil(end) - number
        passes = due > 0 and begin != number
        broken = due > 1 and not end.is_integer()
        if passes or broken or (self.whole and not (begin.is_integer() and end.is_integer())):
            steps = "be multiples of it" if self.whole else "divide it, or begin at a sample and be multiples of it"
            raise FMUError(
                f"t = {time:.9g} s: a communication step of {step:.9g} s does not fit the sample time of "
                f"{self.sample_time:.9g} s: steps have to {steps}"
            )
        return max(due, 0)
