"""The errors that leave this package: one line each, naming the thing that is wrong and what to do about it."""


class DmpcrlError(Exception):
    """Base of every error that this package raises on purpose."""


class ModelError(DmpcrlError, ValueError):
    """A local model or an MPC problem holds a wrong shape, a NaN or a value outside its range."""


class NetworkError(DmpcrlError, ValueError):
    """The coupling graph cannot carry the method (disconnected, self-loop, unknown agent)."""


class AveragingError(DmpcrlError, ValueError):
    """An averaging matrix is not doubly stochastic, or an agent contributes a number that is not finite."""


class SolverError(DmpcrlError):
    """A quadratic program is malformed, or a solver is missing."""


class EvaluationError(DmpcrlError, ValueError):
    """An evaluation that failed was asked for what it does not have."""


class PlantError(DmpcrlError, ValueError):
    """A plant, or one of its signals, is unusable."""


class SourceError(DmpcrlError, ValueError):
    """A disturbance or a set point source is unusable."""


class ClockError(DmpcrlError, ValueError):
    """A time cannot be placed on the integer clock."""


class WiringError(DmpcrlError, ValueError):
    """Signals cannot be connected."""


class SimulationError(DmpcrlError):
    """A closed loop had to stop; the message names the time, the block and the reason."""


class LogError(DmpcrlError):
    """A log cannot be written or read."""


class ExperimentError(DmpcrlError, ValueError):
    """An experiment file cannot be understood."""


class FMUError(DmpcrlError, ValueError):
    """A functional mock-up unit cannot be written, read or moved on."""


class CampaignError(DmpcrlError, ValueError):
    """A campaign cannot be run as it is asked for, or one of its runs has failed."""


class LearningError(DmpcrlError, ValueError):
    """Learning is set up in a way that cannot work, or parameters do not belong to this network."""


class LawError(DmpcrlError, AssertionError):
    """A controller breaks a law; the message names the law, the state, what was expected and what was found."""


class LawInapplicableError(DmpcrlError):
    """A law says nothing of this controller, or at this state."""


class VerificationError(DmpcrlError, ValueError):
    """What is to be verified is no controller, or cannot be imported."""
