"""The lecture, experiment by experiment: `python -m experiments.lecture.coin_flip`."""

from vijax.extras import require

require("tyro", extra="experiments", purpose="running an experiment")
