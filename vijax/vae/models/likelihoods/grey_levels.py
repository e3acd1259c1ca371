"""Likelihoods of grey levels as whole numbers 0 … num_levels - 1, scaled to [0, 1]."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from vijax.types import Key
from vijax.vae.models.likelihoods.base import (
    Likelihood,
    Outputs,
    Pixels,
    as_they_are,
)
from vijax.vae.models.memoize import cached
from vijax.validate import check, is_whole


@cached
def discretised_logistic(
    num_levels: int = 256, *, num_components: int = 1, min_scale: float = 1e-3
) -> Likelihood:
    """A logistic distribution's mass in the bin of each grey level, or several ones'.

    P(level) = Σ_k w_k [σ((x + δ/2 - loc_k) / scale_k) - σ((x - δ/2 - loc_k) / scale_k)]
    with δ = 1 / (num_levels - 1) between levels; the first and the last bin reach to
    infinity. The decoder gives loc and, through a softplus, the scale of each pixel's
    components; with more than one, first the logits of their weights, and to the locs
    are added numbers from 0 to 1, equally spaced, so that they begin apart.

    Args:
        num_levels: grey levels of the source, 256 for a byte.
        num_components: logistics that are mixed, 1 or more. Three let a pixel be black,
            white or in between.
        min_scale: added to the scale, in units of the whole range [0, 1].

    Raises:
        ValueError: `num_levels` is not a whole number of 2 or more, `num_components` of
            1 or more, or `min_scale` is not above 0.

    References:
        Salimans, Karpathy, Chen & Kingma (2017), arXiv:1701.05517, equation 2.

    Example:
        >>> pixel = discretised_logistic(4)  # levels 0, ⅓, ⅔, 1
        >>> levels, outputs = jnp.arange(4) / 3, jnp.zeros((4, 2))
        >>> p = jnp.exp(pixel.log_prob(levels, outputs))
        >>> round(p.sum().item(), 4)
        1.0
    """
    check(min_scale > 0, "min_scale", min_scale, "give a number above 0")
    valid = is_whole(num_components) and num_components >= 1
    check(valid, "num_components", num_components, "give 1 or more")
    top, several = _top(num_levels), num_components > 1
    width = 1 / top
    begin = jnp.linspace(0.0, float(several), num_components)

    def components(outputs: Outputs) -> tuple[Array, Array, Array]:
        """Return log weights, locs and scales."""
        *logits, loc, raw = jnp.split(outputs, 2 + several, axis=-1)
        scale = jax.nn.softplus(raw) + min_scale
        log_weights = jax.nn.log_softmax(logits[0]) if several else jnp.zeros_like(loc)
        return log_weights, loc + begin.astype(loc.dtype), scale

    def log_prob(x: Pixels, outputs: Outputs) -> Pixels:
        log_weights, loc, scale = components(outputs)
        centre = x[..., None] - loc
        lower, upper = (centre - width / 2) / scale, (centre + width / 2) / scale
        # σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b)); an open bin lacks two factors.
        first, last = (e[..., None] for e in (x < width / 2, x > 1 - width / 2))
        below = jnp.where(last, 0.0, jax.nn.log_sigmoid(upper))
        above = jnp.where(first, 0.0, jax.nn.log_sigmoid(-lower))
        inside = jnp.log(-jnp.expm1(-width / scale))
        each = below + above + jnp.where(first | last, 0.0, inside)
        if not several:
            return each[..., 0]
        # The sum of weighted masses is 1 at most, but for rounding.
        return jnp.minimum(jax.nn.logsumexp(log_weights + each, axis=-1), 0.0)

    def mean(outputs: Outputs) -> Pixels:
        log_weights, loc, scale = components(outputs)

        # E[level] = Σ_k P(level >= k), one level at a time to spare the memory.
        def add(k: Array, total: Array) -> Array:
            return total + jax.nn.sigmoid((loc - (k - 0.5) * width) / scale)

        each = jax.lax.fori_loop(1, num_levels, add, jnp.zeros_like(loc)) / top
        return jnp.sum(jnp.exp(log_weights) * each, axis=-1)

    def sample(key: Key, outputs: Outputs) -> Pixels:
        log_weights, loc, scale = components(outputs)
        noise_key, which_key = jax.random.split(key) if several else (key, key)
        which = jax.random.categorical(which_key, log_weights)[..., None]
        loc, scale = (
            jnp.take_along_axis(part, which, axis=-1)[..., 0] for part in (loc, scale)
        )
        x = loc + scale * jax.random.logistic(noise_key, loc.shape, loc.dtype)
        return jnp.clip(jnp.round(x * top), 0, top) / top

    def masses(outputs: Outputs) -> Array:
        log_weights, loc, scale = components(outputs)
        edges = (jnp.arange(top, dtype=loc.dtype) + 0.5) * width
        below = sum(
            jnp.exp(log_weights[..., [i]])
            * jax.nn.sigmoid((edges - loc[..., [i]]) / scale[..., [i]])
            for i in range(num_components)
        )
        whole = jnp.pad(jnp.asarray(below), [(0, 0)] * (loc.ndim - 1) + [(1, 0)])
        mass = jnp.diff(whole, axis=-1, append=jnp.ones_like(whole[..., :1]))
        return jnp.maximum(mass, 0.0)

    name = "discretised_logistic" + (f" x {num_components}" if several else "")
    size = (2 + several) * num_components
    found = _levels(name, num_levels, log_prob, mean, sample, num_outputs=size)
    return found._replace(masses=masses)


@cached
def beta_binomial(num_levels: int = 256) -> Likelihood:
    """Beta-binomial levels: Binomial(num_levels - 1, p), p ~ Beta(a, b).

    The decoder gives a and b of each pixel, through a softplus. For small a and b the
    mass gathers at black and white, as the pixels of handwriting do.

    Args:
        num_levels: grey levels of the source, 256 for a byte.

    Example:
        >>> outputs = jnp.log(jnp.expm1(jnp.array([1.0, 1.0])))  # a = b = 1: uniform
        >>> log_prob = beta_binomial(4).log_prob(jnp.array(1 / 3), outputs)
        >>> round(jnp.exp(log_prob).item(), 3)
        0.25
    """
    # Here, because only those who ask for it need vijax.bayes.
    from vijax.bayes.numerics.count_pmfs import dirichlet_multinomial_log_pmf

    top = _top(num_levels)

    def parameters(outputs: Outputs) -> tuple[Pixels, Pixels]:
        positive = jax.nn.softplus(outputs) + 1e-3
        return positive[..., 0], positive[..., 1]

    def log_prob(x: Pixels, outputs: Outputs) -> Pixels:
        a, b = parameters(outputs)
        k = jnp.round(x * top)
        # Differences of log gammas would lose 0.01 nats a pixel in float32.
        counts, concentration = jnp.stack([k, top - k], -1), jnp.stack([a, b], -1)
        return dirichlet_multinomial_log_pmf(counts, concentration)

    def mean(outputs: Outputs) -> Pixels:
        a, b = parameters(outputs)
        return a / (a + b)

    def sample(key: Key, outputs: Outputs) -> Pixels:
        keys = jax.random.split(key)
        a, b = parameters(outputs)
        p = jax.random.beta(keys[0], a, b, dtype=a.dtype)
        return jax.random.binomial(keys[1], top, p, dtype=a.dtype) / top

    def masses(outputs: Outputs) -> Array:
        a, b = (part[..., None] for part in parameters(outputs))
        k = jnp.arange(top, dtype=a.dtype)
        # P(k + 1) / P(k), level by level.
        ratio = (top - k) * (a + k) / ((k + 1) * (b + top - 1 - k))
        log_mass = jnp.cumsum(jnp.log(ratio), axis=-1)
        return jax.nn.softmax(
            jnp.concatenate([jnp.zeros_like(log_mass[..., :1]), log_mass], axis=-1)
        )

    found = _levels("beta_binomial", num_levels, log_prob, mean, sample)
    return found._replace(masses=masses)


def _levels(
    name: str,
    num_levels: int,
    log_prob: Callable[[Pixels, Outputs], Pixels],
    mean: Callable[[Outputs], Pixels],
    sample: Callable[[Key, Outputs], Pixels],
    *,
    num_outputs: int = 2,
) -> Likelihood:
    top = num_levels - 1

    def on_a_level(x: Pixels) -> Bool[Array, "..."]:
        level = jnp.round(x * top)
        return (jnp.abs(x * top - level) < 1e-3) & (level >= 0) & (level <= top)

    remedy = f"multiples of 1/{top} in [0, 1]: divide whole grey levels by {top}"
    return Likelihood(
        name=f"{name}({num_levels})",
        num_outputs=num_outputs,
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=on_a_level,
        accepts=on_a_level,
        prepare=as_they_are,
        remedy=remedy,
        remedy_images=remedy,
    )


def _top(num_levels: int) -> int:
    valid = is_whole(num_levels) and num_levels >= 2
    check(valid, "num_levels", num_levels, "give a whole number of 2 or more")
    return num_levels - 1
