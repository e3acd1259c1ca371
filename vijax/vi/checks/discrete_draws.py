"""Draws of the discrete unknowns that a fit has summed out."""

import jax
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check
from vijax.vi.checks.summary_table import sample
from vijax.vi.result import Fit
from vijax.vi.targets.models.enumeration import draw_discrete


def sample_discrete(fit: Fit, key: Key, num_samples: int) -> dict[str, Array]:
    r"""Draw from q(θ) p(k | θ, data), the discrete sites k with the unknowns θ.

    The fit is of θ alone. Given θ the probabilities of k are exact, so that these are
    draws of the posterior of both where q is that of θ.

    Args:
        fit: of a NumPyro model with discrete sites.
        key: random key.
        num_samples: number of draws.

    Returns:
        As `vi.sample`, draws first, with the discrete sites and the deterministic sites
        that depend on them. Entries under a mask, of which the data say nothing, are 0.

    Raises:
        ValueError: `num_samples` is below 1, or the model has no discrete site.

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     p = numpyro.sample("p", dist.Beta(2.0, 2.0))
        ...     with numpyro.plate("rows", 3):
        ...         k = numpyro.sample("k", dist.Bernoulli(p))
        ...         numpyro.sample("y", dist.Normal(10.0 * k, 1.0), obs=y)
        >>> target = vi.from_numpyro(model, jnp.array([9.0, 11.0, 0.5]))
        >>> fit = vi.fit(target, jax.random.key(0))
        >>> sample_discrete(fit, jax.random.key(1), 100)["k"].mean(0).tolist()
        [1.0, 1.0, 0.0]
    """
    check(num_samples >= 1, "num_samples", num_samples, "give at least 1")
    if not fit.target.static.discrete:
        raise ValueError(
            f"fit.target = {fit.target!r} is not valid: it has no discrete site; use "
            "vi.sample"
        )
    q_key, discrete_key = jax.random.split(key)
    values = sample(fit, q_key, num_samples)
    return values | draw_discrete(fit.target, discrete_key, values)
