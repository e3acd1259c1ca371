"""The report again, from the results that are there: `python -m experiments.report`."""

from experiments.report import page

if __name__ == "__main__":
    page.main()
