"""The whole lecture: `python -m experiments.lecture`."""

from experiments.lecture import run_all

if __name__ == "__main__":
    run_all.main()
