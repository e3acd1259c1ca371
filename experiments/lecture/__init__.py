"""The lecture, experiment by experiment."""
