"""Processes that hear Ctrl-C however the tests were started."""

import signal


def interruptible() -> None:
    """For `preexec_fn`: a shell lets what it starts in the background ignore the signal, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
