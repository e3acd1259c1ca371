"""Checks of two samples of counts that are compared."""

from jaxtyping import Array

from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks

Pair = tuple[Numbers, Numbers]


def proportions(
    first: Pair, second: Pair, *, min_trials: int = 0
) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
    """Return successes and trials of both samples in one shape, and which are valid.

    Raises:
        ValueError: no pairs, impossible counts, fewer trials than `min_trials`, shapes
            that do not fit.

    Example:
        >>> proportions((3, 2), (1, 2))
        Traceback (most recent call last):
        ...
        ValueError: successes = 3.0 is not valid: give a count between 0 and trials
    """
    k1, n1, valid = count_checks.binomial(*_two("first", first), min_trials=min_trials)
    k2, n2, more = count_checks.binomial(*_two("second", second), min_trials=min_trials)
    k1, n1, k2, n2 = shape_checks.broadcast(first=k1, trials=n1, second=k2, others=n2)
    return (k1, n1), (k2, n2), valid & more


def rates(
    first: Pair, second: Pair
) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
    """Return counts and exposures of both samples in one shape, and which are valid.

    Raises:
        ValueError: no pairs, a count that is negative or fractional, an exposure that
            is not positive, shapes that do not fit.

    Example:
        >>> rates((3, 0.0), (1, 2.0))
        Traceback (most recent call last):
        ...
        ValueError: first exposure = 0.0 is not valid: give finite numbers > 0
    """
    (k1, t1), (k2, t2) = _two("first", first), _two("second", second)
    k1, valid = value_checks.counts("first", k1)
    k2, second_valid = value_checks.counts("second", k2)
    t1, t1_valid = value_checks.positive("first exposure", t1)
    t2, t2_valid = value_checks.positive("second exposure", t2)
    k1, k2, t1, t2 = shape_checks.broadcast(
        first=k1, second=k2, first_exposure=t1, second_exposure=t2
    )
    return (k1, t1), (k2, t2), valid & second_valid & t1_valid & t2_valid


def _two(name: str, pair: Pair) -> Pair:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        given = value_checks.in_line(pair)
        raise ValueError(f"{name} = {given} is not valid: give a pair, counts first")
    return pair[0], pair[1]
