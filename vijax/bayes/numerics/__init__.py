"""Numerics that the exact families share: log probabilities, significances, checks."""
