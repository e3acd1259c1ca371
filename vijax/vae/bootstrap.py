"""The Bayesian bootstrap: error bars for any statistic of weighted examples.

draws = bootstrap(key, lambda weights: roc.auc(scores, mask, weights), n)
draws.std()                                    its standard error
jnp.quantile(draws, jnp.array([0.025, 0.975])) a 95 % credible interval
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.validate import check


def bootstrap(
    key: Key,
    statistic: Callable[[Float[Array, " examples"]], Any],
    num_examples: int,
    *,
    num_resamples: int = 200,
    batch_size: int = 20,
) -> Any:
    """Draw a statistic's posterior under the Bayesian bootstrap.

    Each resample gives every example a weight from Exp(1): normalised, a posterior
    draw of the population's shares under the improper Dirichlet(0) prior. Its spread
    is that of the usual bootstrap to one part in `num_examples`, without its
    duplicated rows, and its shapes are fixed.

    Args:
        key: random key.
        statistic: weights (examples,) -> any pytree; it divides by the weights' sum.
        num_examples: the number of examples.
        num_resamples: draws; the standard error's own relative error is about
            1 / sqrt(2 num_resamples).
        batch_size: resamples at once; memory only.

    Returns:
        The statistic's pytree with a leading axis of `num_resamples`.

    References:
        Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(100.0)
        >>> mean = lambda weights: jnp.sum(weights * x) / jnp.sum(weights)
        >>> draws = bootstrap(jax.random.key(0), mean, 100, num_resamples=4000)
        >>> round(draws.std().item(), 1), round(x.std().item() / 100**0.5, 1)
        (2.9, 2.9)
    """
    check(num_examples >= 1, "num_examples", num_examples, "give 1 or more")
    check(num_resamples >= 2, "num_resamples", num_resamples, "give 2 or more")

    def one(key: Key) -> Any:
        return statistic(jax.random.exponential(key, (num_examples,)))

    keys = jax.random.split(key, num_resamples)
    return jax.jit(partial(jax.lax.map, one, batch_size=batch_size))(keys)
