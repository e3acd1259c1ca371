"""The lecture, experiment by experiment: `python -m experiments.coin_flip --help`."""
