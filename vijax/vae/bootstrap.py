"""The Bayesian bootstrap: error bars for any statistic of weighted examples.

def mean(weights, x):
return jnp.sum(weights * x) / jnp.sum(weights)

draws = bootstrap(key, mean, len(x), x)
draws.std()                                    its standard error
jnp.quantile(draws, jnp.array([0.025, 0.975])) a 95 % credible interval
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jaxtyping import PyTree

from vijax.types import Key
from vijax.validate import check


def bootstrap(
    key: Key,
    statistic: Callable[..., Any],
    num_examples: int,
    *data: PyTree,
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
        statistic: (weights, *data) -> any pytree, weights (examples,) of any sum. It
            is compiled once for each function object: define it once, not in a loop.
        num_examples: the number of examples.
        *data: arrays that the statistic needs.
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
        >>> mean = lambda weights, x: jnp.sum(weights * x) / jnp.sum(weights)
        >>> draws = bootstrap(jax.random.key(0), mean, 100, x, num_resamples=4000)
        >>> round(draws.std().item(), 1), round(x.std().item() / 100**0.5, 1)
        (2.9, 2.9)
    """
    check(num_examples >= 1, "num_examples", num_examples, "give 1 or more")
    check(num_resamples >= 2, "num_resamples", num_resamples, "give 2 or more")
    keys = jax.random.split(key, num_resamples)
    return _bootstrap(statistic, num_examples, batch_size, keys, data)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _bootstrap(
    statistic: Callable[..., Any],
    num_examples: int,
    batch_size: int,
    keys: Key,
    data: tuple[PyTree, ...],
) -> Any:
    def one(key: Key) -> Any:
        return statistic(jax.random.exponential(key, (num_examples,)), *data)

    return jax.lax.map(one, keys, batch_size=batch_size)
