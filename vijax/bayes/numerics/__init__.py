"""The numerics that exact inference stands on; users meet them through their rooms.

log_gamma        differences of log-gamma functions that lose no digits
count_pmfs       log probabilities of counts, exact up to 10^12 counts
count_quantiles  quantiles that are whole numbers
log_densities    log densities of Beta and Gamma kin, as exact
significances    p-values and Gaussian sigmas, into each other
interval         two ends that print with their level
student          Student's t at any number of degrees of freedom
roots            bisection, and the derivatives of any root
density_level    where a density with one mode cuts off a given mass
"""

from vijax.bayes.numerics import (
    count_pmfs,
    count_quantiles,
    density_level,
    interval,
    log_densities,
    log_gamma,
    roots,
    significances,
    student,
)

__all__ = [
    "count_pmfs",
    "count_quantiles",
    "density_level",
    "interval",
    "log_densities",
    "log_gamma",
    "roots",
    "significances",
    "student",
]


def __dir__() -> list[str]:
    return sorted(__all__)
