"""The lecture, experiment by experiment: `python -m experiments.lecture.coin_flip --help`."""
