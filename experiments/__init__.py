"""The experiments: `python -m experiments.lecture.coin_flip --help`."""

from vijax.extras import require

require("tyro", extra="experiments", purpose="running an experiment")
