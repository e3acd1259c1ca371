"""What JAX lacks of the incomplete beta and gamma functions.

    betaincinv, betainccinv              quantiles of Beta, from either tail
    gammaincinv, gammainccinv            quantiles of Gamma, from either tail
    log_betainc, log_betaincc            log probabilities of Beta's tails
    log_gammainc, log_gammaincc          log probabilities of Gamma's tails
    log_binomial_tails, log_poisson_tails    exact tails of counts, as `LogTails`

They are accurate to the last digits, also where a tail is smaller than any float,
under jit, vmap and grad, in float32 and float64. The formulas stand in `incomplete`.
"""

from vijax.special.count_tails import LogTails, log_binomial_tails, log_poisson_tails
from vijax.special.log_tails import (
    log_betainc,
    log_betaincc,
    log_gammainc,
    log_gammaincc,
)
from vijax.special.quantiles import (
    betainccinv,
    betaincinv,
    gammainccinv,
    gammaincinv,
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


def __dir__() -> list[str]:
    return sorted(__all__)
