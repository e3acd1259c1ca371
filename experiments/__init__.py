"""Experiments: they choose, call the package and draw; the package computes.

    lecture      the nine experiments of the lecture, and the run of all of them
    beyond       further ones, each on its own
    studies      what several experiments share
    report       one page of all results, and every number held against the lecture
    benchmarks   vijax beside its peers on the same work

Each experiment is a file with a frozen `Config`, a function `run(config)` that returns
numbers and figures, and a `main()` for the command line:

    python -m experiments.lecture.coin_flip --trials 20 --successes 15
    python -m experiments.lecture.coin_flip --help

It writes `results/<name>/metrics.json` and its figures; see `experiments.common`.
"""

from vijax.extras import require

require("tyro", extra="experiments", purpose="running an experiment")
