"""The experiments: `python -m experiments.lecture.coin_flip --help`."""
