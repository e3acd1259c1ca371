"""The Bayesian bootstrap: a standard error for any statistic of weighted examples.

def mean(weights, x):
    return jnp.sum(weights * x) / jnp.sum(weights)

value, error = with_bootstrap_error(key, mean, len(x), x)
draws = bayesian_bootstrap(key, mean, len(x), x)
jnp.quantile(draws, jnp.array([0.025, 0.975]))     a 95 % credible interval
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from vijax.types import Key
from vijax.validate import check, is_whole


def bayesian_bootstrap(
    key: Key,
    statistic: Callable[..., Any],
    num_examples: int,
    *data: PyTree,
    num_resamples: int = 200,
    batch_size: int = 20,
) -> Any:
    """Draw a statistic's posterior under the Bayesian bootstrap.

    Each resample gives every example a weight from Exp(1). Normalised, the weights are
    a posterior draw of the population's shares under the improper Dirichlet(0) prior.
    Their spread is that of the usual bootstrap to one part in `num_examples`. No row
    is duplicated, so all shapes stay fixed.

    Args:
        key: random key.
        statistic: (weights, *data) -> any pytree; weights (examples,) need no fixed
            sum. It compiles once for each function object: define it outside loops.
        num_examples: the number of examples.
        *data: arrays that the statistic needs.
        num_resamples: number of draws; the standard error's own relative error is
            about 1 / sqrt(2 num_resamples).
        batch_size: resamples at once; memory only.

    Returns:
        The statistic's pytree with a leading axis of `num_resamples`.

    Raises:
        ValueError: no example, fewer than two resamples, no batch size.

    References:
        Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338.

    Example:
        >>> x = jnp.arange(100.0)
        >>> mean = lambda weights, x: jnp.sum(weights * x) / jnp.sum(weights)
        >>> key = jax.random.key(0)
        >>> draws = bayesian_bootstrap(key, mean, 100, x, num_resamples=4000)
        >>> round(draws.std().item(), 1), round(x.std().item() / 100**0.5, 1)
        (2.9, 2.9)
    """
    settings = _settings(num_examples, num_resamples, batch_size)
    return jax.tree.map(lambda leaf: leaf[1:], _draws(statistic, settings, key, data))


def with_bootstrap_error(
    key: Key,
    statistic: Callable[..., Any],
    num_examples: int,
    *data: PyTree,
    num_resamples: int = 200,
    batch_size: int = 20,
) -> tuple[Any, Any]:
    """Return a statistic at equal weights, and its bootstrap standard error.

    Args:
        key: random key.
        statistic: see `bayesian_bootstrap`; one compiled program gives value and error.
        num_examples: the number of examples.
        *data: arrays that the statistic needs.
        num_resamples: number of draws whose spread is the error.
        batch_size: resamples at once; memory only.

    Returns:
        Two pytrees like the statistic's: its value and its standard error.

    Raises:
        ValueError: no example, fewer than two resamples, no batch size.

    Example:
        >>> mean = lambda weights, x: jnp.sum(weights * x) / jnp.sum(weights)
        >>> x = jnp.arange(4.0)
        >>> value, error = with_bootstrap_error(jax.random.key(0), mean, len(x), x)
        >>> value.item(), 0.3 < error.item() < 0.7  # sd / √(n + 1) = 0.5
        (1.5, True)
    """
    settings = _settings(num_examples, num_resamples, batch_size)
    return _with_error(statistic, settings, key, data)


@partial(jax.jit, static_argnums=(0, 1))
def _with_error(
    statistic: Callable[..., Any],
    settings: tuple[int, int, int],
    key: Key,
    data: tuple[PyTree, ...],
) -> tuple[Any, Any]:
    draws = _draws(statistic, settings, key, data)
    return (
        jax.tree.map(lambda leaf: leaf[0], draws),
        jax.tree.map(lambda leaf: jnp.std(leaf[1:], axis=0, ddof=1), draws),
    )


def _settings(
    num_examples: int, num_resamples: int, batch_size: int
) -> tuple[int, int, int]:
    for name, value, least in (
        ("num_examples", num_examples, 1),
        ("num_resamples", num_resamples, 2),
        ("batch_size", batch_size, 1),
    ):
        check(is_whole(value) and value >= least, name, value, f"give {least} or more")
    return num_examples, num_resamples, batch_size


@partial(jax.jit, static_argnums=(0, 1))
def _draws(
    statistic: Callable[..., Any],
    settings: tuple[int, int, int],
    key: Key,
    data: tuple[PyTree, ...],
) -> Any:
    """Return the statistic at equal weights, then its draws."""
    num_examples, num_resamples, batch_size = settings

    def one(index: Array) -> Any:
        draw_key = jax.random.fold_in(key, index)
        weights = jax.random.exponential(draw_key, (num_examples,))
        return statistic(jnp.where(index == 0, 1.0, weights), *data)

    return jax.lax.map(one, jnp.arange(num_resamples + 1), batch_size=batch_size)
