"""A mixture of Gamma distributions whose shapes count upwards by one."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from vijax.bayes.numerics import roots
from vijax.bayes.numerics.log_densities import gamma_log_density
from vijax.bayes.validation import Numbers
from vijax.bayes.validation.value_checks import as_float
from vijax.special.log_tails import log_gamma_tails

_NONE = -1e30


class SignalPosterior(dist.MixtureSameFamily):
    r"""The posterior of a signal above a measured background, of one experiment.

    p(s) = Σ_k w_k Gamma(s; a + k, r). Since Q(a + k + 1, x) - Q(a + k, x) is
    x^(a + k) exp(-x) / Γ(a + k + 1), its tails need one incomplete gamma function:

    P(S > s) = Q(a, x) + Σ_k P(K > k) x^(a + k) exp(-x) / Γ(a + k + 1),  x = r s

    and the lower tail the same from above: sums of positive terms, which lose no digit.

    Args:
        log_weights: log w_k on the last axis.
        concentration: a + k, ascending by one.
        rate: r, the same for all.

    Example:
        >>> log_weights = jnp.log(jnp.array([0.5, 0.5]))
        >>> one = SignalPosterior(log_weights, jnp.array([1.0, 2.0]), 1.0)
        >>> print(f"{jnp.exp(one.log_tails(jnp.asarray(2.0))[1]):.4f}")  # 2 exp(-2)
        0.2707
    """

    pytree_data_fields = ("log_weights", "concentration", "rate")
    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        log_weights: Float[Array, "... components"],
        concentration: Float[Array, "... components"],
        rate: Numbers,
    ) -> None:
        # A weight of 0 stays finite in logs: the derivative of a sum of none is NaN.
        self.log_weights = jnp.where(log_weights == -jnp.inf, _NONE, log_weights)
        self.concentration = concentration
        self.rate = jnp.broadcast_to(as_float(rate), jnp.shape(concentration))
        super().__init__(
            dist.CategoricalLogits(self.log_weights, validate_args=False),
            dist.Gamma(concentration, self.rate, validate_args=False),
            validate_args=False,
        )

    def log_prob(self, value: Numbers, intermediates: None = None) -> Array:
        """Return the log density."""
        x = as_float(value)[..., None]
        each = gamma_log_density(self.concentration, self.rate * x) + jnp.log(self.rate)
        return logsumexp(self.log_weights + each, axis=-1)

    def cdf(self, samples: Numbers) -> Array:
        """Return the probability of a smaller signal."""
        return jnp.exp(self.log_tails(samples)[0])

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return the log probabilities of a smaller signal, and of a larger one."""
        x = self.rate[..., 0] * jnp.maximum(as_float(value), 0.0)
        first, last = self.concentration[..., 0], self.concentration[..., -1]
        # log of x^(a + k) exp(-x) / Γ(a + k + 1), from the density of Gamma(a + k + 1)
        log_pmf = gamma_log_density(self.concentration + 1, x[..., None])
        above = _log_sum_from(self.log_weights)
        log_more = jnp.concatenate(
            [above[..., 1:], jnp.full_like(above[..., :1], _NONE)], axis=-1
        )
        log_less = jax.lax.cumlogsumexp(self.log_weights, self.log_weights.ndim - 1)
        least, most = log_gamma_tails(last + 1, x)[0], log_gamma_tails(first, x)[1]
        return (
            jnp.logaddexp(least, logsumexp(log_pmf + log_less, axis=-1)),
            jnp.logaddexp(most, logsumexp(log_pmf + log_more, axis=-1)),
        )

    def icdf(self, q: Numbers) -> Array:
        """Return the q-quantile."""
        return _quantile(self, as_float(q), False)

    def isf(self, q: Numbers) -> Array:
        """Return the signal that is exceeded with probability q, exact for a tiny q."""
        return _quantile(self, as_float(q), True)


@partial(jax.jit, static_argnums=2)
def _quantile(signal: SignalPosterior, q: Array, upper: bool) -> Array:
    q = jnp.broadcast_to(q, jnp.broadcast_shapes(q.shape, signal.batch_shape))
    # exp(-x / 2) bounds the tail far out; a sum of both scales is beyond it.
    tiny = -jnp.log(jnp.finfo(q.dtype).tiny)
    far = 2 * (jnp.max(signal.concentration, axis=-1) + 4 * tiny)
    high = jnp.broadcast_to(far / signal.rate[..., 0], q.shape)
    within = jnp.where((q > 0) & (q < 1), q, 0.5)  # at the ends slopes are NaN
    x = roots.invert_tails(signal.log_tails, within, 0 * high, high, upper=upper)
    x = jnp.where(q == (1.0 if upper else 0.0), 0.0, x)
    return jnp.where(q == (0.0 if upper else 1.0), jnp.inf, x)


def _log_sum_from(log_weights: Array) -> Array:
    """Return log Σ_{j >= k} w_j for every k."""
    axis = log_weights.ndim - 1
    return jax.lax.cumlogsumexp(log_weights, axis, reverse=True)
