"""Variational families q."""
