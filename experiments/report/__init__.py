"""The report: one page of all results, and every number held against the lecture.

    lecture_numbers   the lecture's rows L1 to L25, and what each is held against
    checks            how a number is held: printed digits, exact values, limits
    page              results/report.html, from templates/ and results/*/metrics.json

`python -m experiments.report` writes the page again from the results that are there.
"""
