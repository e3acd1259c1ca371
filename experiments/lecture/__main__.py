"""The whole lecture: `python -m experiments.lecture`."""

from experiments.lecture import whole

if __name__ == "__main__":
    whole.main()
