"""Two samples: is the second value the larger one, and by how much?

    fisher, barnard         exact tests of two equal probabilities
    probabilities           intervals of their difference and ratio
    rates                   two Poisson rates
    means                   two means, by Welch's test
    pairs, score_intervals  the checks and the intervals that these share

`vijax.bayes.frequentist` hands on all public names.
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return sorted(__all__)
