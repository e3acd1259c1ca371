r"""log p(x) of a trained VAE by importance sampling, and exactly by quadrature.

    importance_log_evidence(model, params, key, x, num_samples=5000)   any latent size
    quadrature_log_evidence(model, params, x)                          1 to 3 latents

Importance sampling estimates log (1/S) Σ w with w = p(x, z) / q(z | x) and S draws
z ~ q. It is low on average, by about half its squared standard error. Each example gets
its standard error and its effective sample size (Σ w)² / Σ w²: do not trust a number
whose effective sample size is only a few. Weights are summed in chunks of draws, so
memory does not grow with S.

Neither measure sees a mode of the posterior that no draw has visited. A VAE of MNIST
with two latents shows it: its posteriors are often bimodal, and q is not. There 5,000
draws fell 2.1 nats short of the quadrature (300 test images), at a claimed error of
0.01 and a median effective sample size of 1,267. In more dimensions no quadrature can
tell. Read the estimate as a lower bound whose error covers only the modes that were
visited. `annealed_sampling` does not depend on q.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.batching import map_batches
from vijax.printing import in_digits
from vijax.types import Key, Scalar
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import autoencoders, bound_terms
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.vae.models.priors import StandardNormal
from vijax.validate import check, is_traced, is_whole, seen
from vijax.vi import bounds


class LogEvidence(NamedTuple):
    """An estimate of log p(x) for each example, in nats."""

    log_evidence: Float[Array, " examples"]
    standard_error: Float[Array, " examples"]  # over draws, by the delta method
    effective_sample_size: Float[Array, " examples"]  # of the num_samples draws


class MeanLogEvidence(NamedTuple):
    """log p(x), mean over examples, in nats per example."""

    log_evidence: Scalar
    standard_error: Scalar  # over test sets of this size, and over draws
    draw_standard_error: Scalar  # over draws, for this very test set
    effective_sample_size: Scalar  # median over the examples
    least_effective_sample_size: Scalar

    def __str__(self) -> str:
        """Return the mean with its error, and how far it can be trusted."""
        if is_traced(self) or np.ndim(self.log_evidence):
            return f"means of log p(x) of shape {np.shape(self.log_evidence)}"
        found = in_digits(self.log_evidence, self.standard_error)
        return (
            f"log p(x) {found} nats per example; effective sample size "
            f"{self.effective_sample_size:.0f} (median), "
            f"{self.least_effective_sample_size:.0f} (least)"
        )


class _Sums(NamedTuple):
    """Running sums of weights over exp(top), the largest log weight so far."""

    top: Array  # (batch,)
    first: Array  # Σ exp(log w - top)
    second: Array  # Σ exp(log w - top)²


def importance_log_evidence(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    num_samples: int = 5000,
    chunk_size: int = 100,
    batch_size: int = 50,
) -> LogEvidence:
    """Estimate log p(x) of each example from draws of q(z | x).

    Args:
        model: the VAE.
        params: its parameters.
        key: for the draws.
        x: (n, *shape) in the likelihood's support.
        num_samples: S, 2 or more and a multiple of `chunk_size`.
        chunk_size: draws at once. `chunk_size × batch_size` rows go through the
            decoder at a time, which is all the memory that is needed.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: data of another shape or outside the support, no example, fewer
            than two draws, a number of draws that chunks do not divide.

    References:
        Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, section 5.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.ones((2, 1))  # a decoder that ignores z: q is exact
        >>> key = jax.random.key(0)
        >>> found = importance_log_evidence(model, params, key, x, num_samples=100)
        >>> found.log_evidence.round(4)[0].item()
        -0.693...
        >>> found.effective_sample_size.round().tolist()
        [100.0, 100.0]
    """
    for name, value, least in (
        ("num_samples", num_samples, 2),
        ("chunk_size", chunk_size, 1),
    ):
        check(is_whole(value) and value >= least, name, value, f"give {least} or more")
    chunk_size = min(chunk_size, num_samples)
    remedy = f"give a multiple of chunk_size = {chunk_size}"
    check(num_samples % chunk_size == 0, "num_samples", num_samples, remedy)
    x = check_in_support(model, x, least=1)
    apply = partial(_importance, model, num_samples // chunk_size, chunk_size)
    return map_batches(
        partial(apply, params, key), np.arange(len(x)), x, batch_size=batch_size
    )


@partial(jax.jit, static_argnums=(0, 1, 2))
def _importance(
    model: VAE,
    num_chunks: int,
    chunk_size: int,
    params: ModelParams,
    key: Key,
    index: Array,
    x: Images,
) -> LogEvidence:
    q = autoencoders.encode(model, params, x)
    p = autoencoders.prior_of(model, params, x)
    # A key for each batch, from its first row: no example sees another's draws.
    key = jax.random.fold_in(key, index[0])

    def add(sums: _Sums, chunk: Array) -> tuple[_Sums, None]:
        own_key = jax.random.fold_in(key, chunk)
        noise = bound_terms.noise_of(own_key, q, num_samples=chunk_size)
        terms = bound_terms.draw_terms(model, params, x, q, noise, p=p)
        return _add(sums, terms.log_likelihood + terms.log_ratio), None

    zero = jnp.zeros(len(x), x.dtype)
    start = _Sums(zero - jnp.inf, zero, zero)
    sums, _ = jax.lax.scan(add, start, jnp.arange(num_chunks))
    return _evidence(sums, num_chunks * chunk_size)


def _add(sums: _Sums, log_w: Float[Array, "draws batch"]) -> _Sums:
    top = jnp.maximum(sums.top, jnp.max(log_w, axis=0))
    # exp(-inf - top) = 0 for the empty sums of the first chunk.
    old, weights = jnp.exp(sums.top - top), jnp.exp(log_w - top)
    return _Sums(
        top,
        sums.first * old + jnp.sum(weights, axis=0),
        sums.second * old**2 + jnp.sum(weights**2, axis=0),
    )


def _evidence(sums: _Sums, num_samples: int) -> LogEvidence:
    size = sums.first**2 / sums.second
    # sd(w) / mean(w) / sqrt(k), where var(w) / mean(w)² = k / size - 1, unbiased.
    variance = (num_samples / size - 1) / (num_samples - 1)
    return LogEvidence(
        sums.top + jnp.log(sums.first / num_samples),
        jnp.sqrt(jnp.maximum(variance, 0)),
        size,
    )


def mean_log_evidence(evidence: LogEvidence) -> MeanLogEvidence:
    """Return the mean of log p(x) over examples, with its errors.

    Of one example nobody knows the error over test sets: it is NaN.

    Example:
        >>> two, one = jnp.array([-80.0, -90.0]), jnp.array([0.3, 0.4])
        >>> found = mean_log_evidence(LogEvidence(two, one, jnp.array([50.0, 60.0])))
        >>> print(found)
        log p(x) -85.0 ± 5.0 nats per example;
        effective sample size 55 (median), 50 (least)
        >>> found.draw_standard_error.item(), found.effective_sample_size.item()
        (0.25, 55.0)
    """
    return MeanLogEvidence(
        jnp.mean(evidence.log_evidence),
        bounds.standard_error(evidence.log_evidence),
        jnp.sqrt(jnp.mean(evidence.standard_error**2) / len(evidence.standard_error)),
        jnp.median(evidence.effective_sample_size),
        jnp.min(evidence.effective_sample_size),
    )


def quadrature_log_evidence(
    model: VAE,
    params: ModelParams,
    x: ArrayLike,
    *,
    num_nodes: int = 400,
    width: float = 5.5,
    batch_size: int = 2500,
) -> Float[Array, " examples"]:
    """Return log p(x) of each example by the trapezoidal rule over the latent space.

    All examples share one grid, so the decoder runs once for each of its points. Where
    log p(x | z) is affine in x, the rest is a matrix product. If the step is at most
    the standard deviation of the narrowest posterior, only rounding errors remain:
    compare two values of `num_nodes`.

    Args:
        model: the VAE, of one to three latents.
        params: its parameters.
        x: (n, *shape) in the likelihood's support.
        num_nodes: grid points along each latent, 2 or more.
        width: half the grid's length, in standard deviations of N(0, I). A learned
            prior may want another: less than 1 - 10⁻³ of it on the grid is refused.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: more than three latents, a conditional model, a setting out of its
            range, data of another shape or outside the support, a learned prior that
            does not fit on the grid.

    Example:
        >>> from vijax.vae.models.likelihoods import gaussian
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=(), likelihood=gaussian(1.0))
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.ones((2, 1))  # x = z + 1 + noise: log N(1 | 1, 2)
        >>> quadrature_log_evidence(model, params, x)[0].round(4).item()
        -1.265...
    """
    remedy = "quadrature is for 1 to 3 latents; use importance"
    check(1 <= model.latent <= 3, "latent", model.latent, remedy)
    remedy = "examples of a conditional model share no grid: use importance"
    check(not model.num_covariates, "num_covariates", model.num_covariates, remedy)
    remedy = "give 2 or more"
    check(is_whole(num_nodes) and num_nodes >= 2, "num_nodes", num_nodes, remedy)
    check(0 < width < math.inf, "width", width, "give a number above 0")
    x = check_in_support(model, x, least=1)
    if not isinstance(autoencoders.prior_of(model, params), StandardNormal):
        mass = _mass_on_grid(model, num_nodes, params, width)
        remedy = "the prior's mass on the grid is not 1: give more nodes, other width"
        check(abs(seen(mass) - 1) < _MASS_ERROR, "mass", mass, remedy)
    apply = partial(_quadrature, model, num_nodes, params, width)
    return map_batches(apply, x, batch_size=min(batch_size, len(x)))


@partial(jax.jit, static_argnums=(0, 1))
def _quadrature(
    model: VAE, num_nodes: int, params: ModelParams, width: ArrayLike, x: Images
) -> Float[Array, " batch"]:
    p = autoencoders.prior_of(model, params)

    def log_likelihoods(z: Array) -> Float[Array, "points batch"]:
        outputs = autoencoders.decode(model, params, z)
        return bound_terms.log_likelihood_table(model, outputs, x)

    grid = _GridSize(num_nodes, model.latent)
    return _log_integral(grid, width, p, log_likelihoods, jnp.zeros(len(x), x.dtype))


@partial(jax.jit, static_argnums=(0, 1))
def _mass_on_grid(
    model: VAE, num_nodes: int, params: ModelParams, width: ArrayLike
) -> Scalar:
    """Return ∫ p(z) dz by the grid's rule: 1 where the grid fits the prior."""
    p = autoencoders.prior_of(model, params)
    grid, zero = _GridSize(num_nodes, model.latent), jnp.zeros(1)
    found = _log_integral(grid, width, p, lambda z: jnp.zeros((len(z), 1)), zero)
    return jnp.exp(found[0])


class _GridSize(NamedTuple):
    num_nodes: int
    latent: int


def _log_integral(
    grid: _GridSize,
    width: ArrayLike,
    p: Any,
    log_values: Callable[[Array], Float[Array, "points batch"]],
    zero: Float[Array, " batch"],
) -> Float[Array, " batch"]:
    """Return log ∫ p(z) exp(log_values(z)) dz over the grid of the latent space."""
    num_nodes, latent = grid
    step = 2 * width / (num_nodes - 1)
    chunk_size = min(num_nodes, _CHUNK)
    total = num_nodes**latent
    starts = jnp.arange(0, total, chunk_size)

    def add(sums: _Sums, start: Array) -> tuple[_Sums, None]:
        # The grid's points by their number, so that it need not be stored.
        number = start + jnp.arange(chunk_size)
        digits = jnp.unravel_index(number, (num_nodes,) * latent)
        z = (jnp.stack(digits, axis=-1) * step - width).astype(zero.dtype)
        if isinstance(p, StandardNormal):
            log_mass = jnp.sum(-0.5 * z**2 - _HALF_LOG_2PI + jnp.log(step), axis=-1)
        else:
            log_mass = p.log_prob(z) + latent * jnp.log(step)
        log_mass = jnp.where(number < total, log_mass, -jnp.inf)
        return _add(sums, log_values(z) + log_mass[:, None]), None

    sums, _ = jax.lax.scan(add, _Sums(zero - jnp.inf, zero, zero), starts)
    return sums.top + jnp.log(sums.first)


_CHUNK = 2000  # grid points at once
_MASS_ERROR = 1e-3  # of a learned prior on the grid
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
