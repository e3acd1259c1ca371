"""What exact inference asks of its arguments: their values, their types, their shapes.

    value_checks    whole counts, finite numbers, probabilities, proper priors
    count_checks    counts that belong together, such as successes and trials
    shape_checks    the prior's type, shapes that broadcast, symmetric matrices

`Numbers` annotates an argument that may be a number, a list, or any array of numbers;
every element is a case of its own. `Sample` is the same, where all elements together
are one data set.
"""

from vijax.bayes.validation import count_checks, shape_checks, value_checks
from vijax.bayes.validation.value_checks import Numbers, Sample

__all__ = ["Numbers", "Sample", "count_checks", "shape_checks", "value_checks"]


def __dir__() -> list[str]:
    return sorted(__all__)
