"""Variational inference: turn an integral into an optimisation, and check it."""
