r"""The posterior's own moments: importance weights of draws from q and around it.

Draws come in equal parts from q and, where linear response knows a covariance, from
r = N(mean of q, that covariance). All are weighed by p against the mixture, so that the
weights are never more than twice p / q, and far below where q is too narrow.

A posterior with longer tails than any normal law, such as a t, has weights without a
variance: their correction is too small, and does not know by how much. So where the
moments found are less accurate than 0.5 %, the last law makes room for
the tails and more draws are taken, in batches of the same compiled program,

    r → t with max(8, dim) degrees of freedom, of the same centre and scale

until the moments are that accurate or 8 batches are spent. Measured on the flat
regression `mesquite` of posteriordb (46 rows, 8 unknowns), 20 times 20,000 draws: the
sd of σ is 1.3 ± 0.3 % too small on average with a normal r, 0.1 ± 0.2 % with a t.

References:
    Veach & Guibas (1995), SIGGRAPH (the mixture); Hesterberg (1995), Technometrics
    37(2) (defensive mixtures).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.special import gammaln

from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi import importance_weights
from vijax.vi.checks.weighted_moments import moments
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import log_densities, over_draws
from vijax.vi.engine.fast_compile import is_little, quick_jit
from vijax.vi.families.flow import Flow
from vijax.vi.families.gaussian import FullRank
from vijax.vi.result import Fit

ACCURACY = 0.005  # of a mean in sds, and of an sd, that more draws are taken for
MAX_BATCHES = 8
MAX_NUMBERS = 2**25  # that the draws of all batches may be
LEAST_FREEDOM = 8
# Streams of the key, apart from those of a fit.
NOISE, SPREAD = 100, 200


class Weighed(NamedTuple):
    """Draws from one law or two, and log p less the log of the laws' mixture."""

    eps: Any  # (samples, dim), noise with mean 0 and covariance I
    log_weights: Any  # (laws · samples,)
    draws: dict[str, Any]  # constrained unknowns, (laws, samples, *shape)
    reference: Any  # that the log weights lack, nats

    @property
    def smoothed(self) -> importance_weights.Smoothed:
        """The weights with a smoothed tail."""
        return importance_weights.psis(self.log_weights)

    def shares(self, xp: Any = np) -> Any:
        """Return the weights, smoothed, of mean 1."""
        return len(self.log_weights) * xp.exp(self.smoothed.log_weights)

    def moments(self, xp: Any = np) -> dict[str, tuple[Any, Any, Any, Any]]:
        """Return corrected means, sds, and the standard errors of both, by name."""
        shares = self.shares(xp)
        return {
            name: moments(x, self.eps, shares, xp) for name, x in self.draws.items()
        }

    def worst_error(self) -> float:
        """Return the largest standard error of a mean or an sd, in sds."""
        errors = [
            np.max(np.maximum(mean_se, sd_se) / np.where(sd > 0, sd, 1.0))
            for _, sd, mean_se, sd_se in self.moments().values()
        ]
        return float(np.max(errors))


def weigh(fit: Fit, key: Key, num_samples: int) -> tuple[Weighed, Weighed]:
    """Draw from q and around it; return the first draws, and those that correct.

    They are the same where the first are accurate enough, inside a trace, and where
    the model subsamples: each draw is a pass over all its rows.
    """
    first = _batch(fit, key, num_samples, 0)
    if is_traced(first) or fit.target.subsampled or first.worst_error() <= ACCURACY:
        return first, first
    numbers = sum(x.size for x in first.draws.values())
    # A flow has its own tails: the first draws are as good as more of them.
    batches = [first] if isinstance(fit.q, Flow) else []
    for number in range(1, max(1, min(MAX_BATCHES, MAX_NUMBERS // numbers)) + 1):
        batches.append(_batch(fit, key, num_samples, number))
        found = _joined(batches)
        # More draws of laws that miss p do not find it.
        lost = found.smoothed.tail_shape >= importance_weights.KHAT_LIMIT
        if lost or not found.worst_error() > ACCURACY:
            break
    return first, found


def _joined(batches: list[Weighed]) -> Weighed:
    """Put batches together, law by law."""
    eps, log_weights, draws, references = zip(*batches, strict=True)
    laws = len(log_weights[0]) // len(eps[0])
    rows = [np.reshape(x, (laws, -1)) for x in log_weights]
    return Weighed(
        np.concatenate(eps),
        np.ravel(np.concatenate(rows, axis=1)),
        {name: np.concatenate([x[name] for x in draws], axis=1) for name in draws[0]},
        references[0],
    )


def _batch(fit: Fit, key: Key, num_samples: int, number: int) -> Weighed:
    """Draw batch `number`: of normal laws where it is 0, else with the wider last."""
    dim, dtype = fit.target.dim, fit.target.init.dtype
    eps = noise.whitened(key, num_samples, dim, dtype, stream=NOISE + number)
    # A flow has its own tails.
    freedom = max(LEAST_FREEDOM, dim) if number and not isinstance(fit.q, Flow) else 0
    stretch, constant = np.ones((num_samples, 1), dtype), 0.0
    if freedom:
        shape = (num_samples, freedom)
        squares = noise.normal(key, shape, dtype, stream=SPREAD + number) ** 2
        stretch = np.mean(squares, axis=1, keepdims=True) ** -0.5
        # Of the t's density over that of the normal law, at their centre.
        constant = gammaln((freedom + dim) / 2) - gammaln(freedom / 2)
        constant -= 0.5 * dim * math.log(freedom / 2)
    drawn = _draw(
        fit,
        eps,
        stretch,
        np.asarray(freedom, dtype),
        np.asarray(constant, dtype),
        quick=is_little(fit.target.data, num_samples),
    )
    if is_traced(drawn):
        return Weighed(eps, *drawn)
    log_weights, draws, reference = jax.tree.map(lambda x: np.asarray(x, float), drawn)
    return Weighed(np.asarray(eps, float), log_weights, draws, float(reference))


@quick_jit
def _draw(
    fit: Fit, eps: Array, stretch: Array, freedom: Array, constant: Array
) -> tuple[Array, dict[str, Array], Scalar]:
    target, laws = fit.target, [fit.q]
    if fit.covariance is not None:
        root = jnp.linalg.cholesky(fit.covariance)
        laws.append(FullRank.from_tril(fit.q.mean(), root))
    noises = [*(len(laws) - 1) * [eps], stretch * eps]
    z = jnp.concatenate([law.transform(e) for law, e in zip(laws, noises, strict=True)])
    log_laws = [law.log_prob(z) for law in laws]
    if not isinstance(fit.q, Flow):
        log_laws[-1] = _widened(laws[-1], log_laws[-1], freedom, constant)
    log_mixture = jax.nn.logsumexp(jnp.stack(log_laws), axis=0) - math.log(len(laws))
    log_p, reference = log_densities(target, z)
    # Where a law reaches and the density is not a number, p has no weight.
    log_weights = log_p - log_mixture
    log_weights = jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights)
    draws = over_draws(target, target.constrain, z)
    split = {
        name: jnp.reshape(x, (len(laws), len(eps), *x.shape[1:]))
        for name, x in draws.items()
    }
    return log_weights, split, reference


def _widened(law: Any, log_law: Array, freedom: Array, constant: Array) -> Array:
    """Return the log density of the t of a normal law's centre and scale.

    The normal law's own density says how far a draw is, ‖ε‖² = 2 (log q(m) − log q(z)).
    """
    peak = law.log_prob(law.loc)
    safe = jnp.where(freedom > 0, freedom, 1.0)
    log_t = -0.5 * (safe + law.loc.size) * jnp.log1p(2 * (peak - log_law) / safe)
    return jnp.where(freedom > 0, peak + constant + log_t, log_law)
