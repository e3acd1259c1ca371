"""What JAX lacks of the incomplete beta and gamma functions.

Their quantiles, both tails in logs, and every derivative, to the last digits, under
jit, vmap and grad, in float32 and float64. `incomplete` has the formulas.
"""

from vijax.special.counts import LogTails, log_binomial_tails, log_poisson_tails
from vijax.special.quantiles import (
    betainccinv,
    betaincinv,
    gammainccinv,
    gammaincinv,
)
from vijax.special.tails import (
    log_betainc,
    log_betaincc,
    log_gammainc,
    log_gammaincc,
)

__all__ = [
    "LogTails",
    "betainccinv",
    "betaincinv",
    "gammainccinv",
    "gammaincinv",
    "log_betainc",
    "log_betaincc",
    "log_binomial_tails",
    "log_gammainc",
    "log_gammaincc",
    "log_poisson_tails",
]
