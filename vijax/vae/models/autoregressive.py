r"""A posterior that is a flow: normals whose latents bend each other in turn.

    z⁰ = loc(x) + scale(x) ε                         the encoder's normal
    z_j ← z_j exp(s_j(z_<j, h(x))) + m_j(z_<j, h(x))  each layer, then the order turned

Shift m and log scale s come from one masked network a layer, which sees the latents
before and a context h from the encoder. All draws go through at once. The density at a
z that was not drawn here needs the inverse, one pass for each latent: slow where
latents are many. Bounds of own draws never need it; the doubly reparametrised gradient
and pairs of q and z, as in `evaluation.aggregate_posterior`, do.

References:
    Kingma et al. (2016), arXiv:1606.04934; Germain et al. (2015), arXiv:1502.03509 (the
    masks).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models.memoize import cached
from vijax.vae.models.posteriors import (
    Latents,
    Posterior,
    PosteriorFamily,
    from_moments,
)
from vijax.validate import check, is_whole

MOST_LOG_SCALE = 2.0  # of one layer


class AutoregressivePosterior(NamedTuple):
    """q(z | x) of the flow, a batch of them."""

    base: Posterior  # z⁰
    context: Float[Array, "... context"]  # h
    layers: tuple[dict[str, Array], ...]  # of the masked networks

    @property
    def loc(self) -> Latents:
        """Where noise of zero goes."""
        return self.transform(jnp.zeros_like(self.base.loc))

    def transform(self, noise: Latents) -> Latents:
        """Map standard normal noise to draws."""
        return self._forward(noise)[0]

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Map noise to draws, and return their log density."""
        z, log_det = self._forward(noise)
        return z, self.base.transform_and_log_prob(noise)[1] - log_det

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x), by the inverse map."""
        log_det: Any = 0.0
        for layer in reversed(self.layers):
            z = z[..., ::-1]
            y = self._inverse(layer, z)
            log_det += jnp.sum(_shift_and_log_scale(layer, y, self.context)[1], axis=-1)
            z = y
        return self.base.log_prob(z) - log_det

    def take(self, index: Array) -> "AutoregressivePosterior":
        """Return the q of some examples."""
        return self._replace(base=self.base.take(index), context=self.context[index])

    def _forward(self, noise: Latents) -> tuple[Latents, Array]:
        z, log_det = self.base.transform(noise), jnp.zeros(noise.shape[:-1])
        for layer in self.layers:
            shift, log_scale = _shift_and_log_scale(layer, z, self.context)
            z = (z * jnp.exp(log_scale) + shift)[..., ::-1]
            log_det += jnp.sum(log_scale, axis=-1)
        return z, log_det

    def _inverse(self, layer: dict[str, Array], z: Latents) -> Latents:
        """Return y with layer(y) = z: each pass makes one more latent exact."""

        def improve(y: Latents, _: None) -> tuple[Latents, None]:
            shift, log_scale = _shift_and_log_scale(layer, y, self.context)
            return (z - shift) * jnp.exp(-log_scale), None

        # The type and batch axes of the result, from the first latent on.
        shift, log_scale = _shift_and_log_scale(layer, jnp.zeros_like(z), self.context)
        start = (z - shift) * jnp.exp(-log_scale)
        return jax.lax.scan(improve, start, length=z.shape[-1] - 1)[0]


@cached
def inverse_autoregressive(
    *, num_layers: int = 2, hidden: int = 64, context: int = 16
) -> PosteriorFamily:
    """Return the family of inverse autoregressive flows; it begins as a normal.

    Args:
        num_layers: layers of the flow, 1 or more; the order of the latents turns after
            each.
        hidden: units of each layer's network.
        context: numbers that the encoder hands to these networks.

    Raises:
        ValueError: a number that is not whole and positive.

    References:
        Kingma et al. (2016), arXiv:1606.04934.

    Example:
        >>> from vijax.vae import models
        >>> posterior = inverse_autoregressive(num_layers=1, hidden=8)
        >>> model = models.vae((4,), latent=3, posterior=posterior)
        >>> params = models.init(model, jax.random.key(0))
        >>> q = models.encode(model, params, jnp.zeros((5, 4)))
        >>> q.transform(jnp.zeros((5, 3))).shape
        (5, 3)
    """
    for name, value in (
        ("num_layers", num_layers),
        ("hidden", hidden),
        ("context", context),
    ):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")

    def init(key: Key, latent: int) -> Params:
        keys = jax.random.split(key, num_layers)
        return tuple(_first_layer(key, latent, hidden, context) for key in keys)

    def distribution(params: Any, code: Array) -> AutoregressivePosterior:
        size = (code.shape[-1] - context) // 2
        moments = code[..., : 2 * size].reshape(*code.shape[:-1], 2, size)
        base, own = from_moments(moments), tuple(params.posterior)
        return AutoregressivePosterior(base, code[..., 2 * size :], own)

    return PosteriorFamily(
        "inverse autoregressive",
        lambda latent: (2 * latent + context,),
        init,
        distribution,
    )


def _first_layer(
    key: Key, latent: int, hidden: int, context: int
) -> dict[str, Float[Array, "..."]]:
    keys = jax.random.split(key, 3)
    return {
        "of_latents": jax.random.normal(keys[0], (latent, hidden)) / math.sqrt(latent),
        "of_context": jax.random.normal(keys[1], (context, hidden))
        / math.sqrt(context),
        "bias": jax.random.normal(keys[2], (hidden,)),
        "shift": jnp.zeros((hidden, latent)),  # zeros: the layer begins as the identity
        "shift_bias": jnp.zeros(latent),
        "log_scale": jnp.zeros((hidden, latent)),
        "log_scale_bias": jnp.zeros(latent),
    }


def _shift_and_log_scale(
    layer: dict[str, Array], z: Latents, context: Float[Array, "... context"]
) -> tuple[Latents, Latents]:
    """Return m and s of each latent, from those before it and the context."""
    into, out = _masks(*layer["of_latents"].shape)
    hidden = z @ (into * layer["of_latents"]) + context @ layer["of_context"]
    hidden = jnp.tanh(hidden + layer["bias"])
    shift = hidden @ (out * layer["shift"]) + layer["shift_bias"]
    log_scale = hidden @ (out * layer["log_scale"]) + layer["log_scale_bias"]
    return shift, MOST_LOG_SCALE * jnp.tanh(log_scale / MOST_LOG_SCALE)


def _masks(latent: int, hidden: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which latents a hidden unit sees, and which it has a say in.

    Unit i sees the first i mod `latent` of them and speaks to those after.
    """
    sees = np.arange(hidden) % latent
    place = np.arange(latent)
    return (
        (place[:, None] < sees).astype(np.float32),
        (place >= sees[:, None]).astype(np.float32),
    )
