"""Targets for fuzzing, what fuzzing has found (a folder per target), and the command that looks for more."""
