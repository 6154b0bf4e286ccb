"""Experiment files, and what is made of a log: numbers, pictures, a report, checks and Hypothesis strategies."""
