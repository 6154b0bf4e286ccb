"""What all tests share: pictures without a screen, Hypothesis without a clock."""

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "agg")

# Solves vary in time from machine to machine: a property fails on what it finds, never on how long it took. The same
# examples are tried every time; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("house", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
