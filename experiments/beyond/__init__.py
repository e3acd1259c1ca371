"""Experiments beyond the lecture."""
