"""Checks of counts that belong together: successes and trials, on and off counts."""

from jaxtyping import Array, Bool, Float

from vijax.bayes.validation import shape_checks, value_checks
from vijax.bayes.validation.value_checks import Numbers
from vijax.validate import seen

Counts = Float[Array, "..."]
Mask = Bool[Array, "..."]


def binomial(
    successes: Numbers, trials: Numbers, *, min_trials: int = 0
) -> tuple[Counts, Counts, Mask]:
    """Return successes and trials in one shape, and where they are possible.

    Args:
        successes: k, any shape.
        trials: n, broadcast against k.
        min_trials: the smallest n that has an answer.

    Raises:
        ValueError: a count that is negative, fractional, or above its trials; too few
            trials; shapes that do not fit.

    Example:
        >>> binomial(15, 14)
        Traceback (most recent call last):
        ...
        ValueError: successes = 15.0 is not valid: give a count between 0 and trials
    """
    successes, successes_valid = value_checks.counts("successes", successes)
    trials, trials_valid = value_checks.counts("trials", trials)
    successes, trials = shape_checks.broadcast(successes=successes, trials=trials)
    k, n = seen(successes), seen(trials)
    remedy = f"give a count of {min_trials} or more"
    enough = value_checks.checked(n >= min_trials, "trials", trials, remedy)
    remedy = "give a count between 0 and trials"
    possible = value_checks.checked(k <= n, "successes", successes, remedy)
    return successes, trials, successes_valid & trials_valid & enough & possible


def on_off(
    n_on: Numbers, n_off: Numbers, alpha: Numbers
) -> tuple[Counts, Counts, Counts, Mask]:
    """Return the data of an on/off experiment in one shape, and where they are valid.

    Args:
        n_on: counts in the on region, any shape.
        n_off: counts in the off region, broadcast against them.
        alpha: exposure of the on region over that of the off region.

    Raises:
        ValueError: a negative or fractional count, an alpha that is not positive,
            shapes that do not fit.

    Example:
        >>> on_off(3, 4, -1.0)
        Traceback (most recent call last):
        ...
        ValueError: alpha = -1.0 is not valid: give finite numbers > 0
    """
    n_on, on_valid = value_checks.counts("n_on", n_on)
    n_off, off_valid = value_checks.counts("n_off", n_off)
    alpha, alpha_valid = value_checks.positive("alpha", alpha)
    n_on, n_off, alpha = shape_checks.broadcast(n_on=n_on, n_off=n_off, alpha=alpha)
    return n_on, n_off, alpha, on_valid & off_valid & alpha_valid
