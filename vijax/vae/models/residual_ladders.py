r"""A deep ladder of residual convolutions: many groups of latents, coarse to fine.

The decoder starts from maps h_0 that are learned, and goes down through groups of
latents, on coarse maps first and on finer ones later:

    z_i ~ N(0, I),    h_i = h_{i-1} + r_i(h_{i-1}) + V_i (s_i(h_{i-1}) z_i),    x from h

A ladder with p(w_i | w_<i) = N(m(h), s(h)²) is the same model: w = m + s z, and m is a
part of r. So the prior of all latents is N(0, I), and all that is learned is a map. The
posterior goes the same way down, and sees the encoder's maps e of the same size:

    q(z | x) = q(z_1 | x) q(z_2 | z_1, x) …,    q(z_i | z_<i, x) = N(a, b²),
    a, log b from (h_{i-1}, e)

so that going down once gives the draws, log q, the KL of each group and the decoder's
outputs (`DescendingPosterior.draw_and_decode`). Within one scale the groups have the
same shapes and run in one `lax.scan`, which compiles once for all of them.

References:
    Sønderby et al. (2016), arXiv:1602.02282 (ladders); Kingma et al. (2016),
    arXiv:1606.04934, figure 3 (residual, coarse to fine); Child (2021),
    arXiv:2011.10650 (many groups, bottlenecks).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models import autoencoders, networks
from vijax.vae.models.autoencoders import VAE
from vijax.vae.models.likelihoods import Likelihood
from vijax.vae.models.memoize import cached
from vijax.vae.models.networks import Network, Shape
from vijax.vae.models.posteriors import (
    Latents,
    Posterior,
    PosteriorFamily,
    bounded_log_scale,
    normal_log_prob,
)
from vijax.validate import check, is_whole

Maps = Float[Array, "..."]  # (batch, height, width, channels)


class Ladder(NamedTuple):
    """The sizes of a ladder; tuples have the finest scale first."""

    shape: Shape  # of an image
    outputs: int  # of the decoder for each place of the image
    groups: tuple[int, ...]  # of latents at each scale
    latents: tuple[int, ...]  # channels of a group at each scale
    channels: int  # of all maps
    width: int  # of the bottlenecks
    activation: str
    dtype: str | None


class Group(NamedTuple):
    """Where a group of latents is."""

    scale: int  # the coarsest is 0
    number: int  # within the scale
    part: slice  # of z


class Decoded(NamedTuple):
    """What one way down gives, for each draw."""

    z: Latents
    log_q: Float[Array, "..."]  # log q(z | x)
    kl: Float[Array, "..."]  # Σ_i KL[q(z_i | z_<i, x) ‖ N(0, I)], at this draw's z_<i
    outputs: Float[Array, "..."]  # the decoder's, at z


@register_dataclass
@dataclass(frozen=True)
class DescendingPosterior:
    """q(z | x) = q(z_1 | x) q(z_2 | z_1, x) …, a batch of them."""

    decoder: Any  # its parameters
    own: Any  # parameters of q's own networks
    features: Any  # the encoder's maps, the coarsest scale first
    ladder: Ladder = field(metadata={"static": True})

    @property
    def way(self) -> Network:
        """The decoder that goes the same way: `bound_terms.draw_terms` asks."""
        return ladder_decoder(self.ladder)

    @property
    def loc(self) -> Latents:
        """Where noise of zero goes."""
        size = num_latents(self.ladder)
        return self.transform(jnp.zeros((*self.features[0].shape[:-3], size)))

    def transform(self, noise: Latents) -> Latents:
        """Map standard normal noise to draws."""
        return self.transform_and_log_prob(noise)[0]

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Map noise to draws, and return their log density."""
        z, q, _ = self._go_down(noise, lambda q, own: q.transform(own))
        return z, normal_log_prob(noise) - jnp.sum(q.log_scale, axis=-1)

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x)."""
        return self.conditionals(z).log_prob(z)

    def conditionals(self, z: Latents) -> Posterior:
        """Return q(z_i | z_<i, x) of each group at given latents, side by side."""
        return self._go_down(z, lambda q, own: own)[1]

    def draw_and_decode(self, noise: Latents) -> Decoded:
        """Return draws, their densities and the decoder's outputs, on one way down."""
        z, q, maps = self._go_down(noise, lambda q, own: q.transform(own))
        log_q = normal_log_prob(noise) - jnp.sum(q.log_scale, axis=-1)
        each = 0.5 * (q.loc**2 + jnp.expm1(2 * q.log_scale)) - q.log_scale
        outputs = _image(self.ladder, self.decoder, maps)
        outputs = outputs.reshape(*noise.shape[:-1], *outputs.shape[1:])
        return Decoded(z, log_q, jnp.sum(each, axis=-1), outputs)

    def groups(self) -> list[Group]:
        """Return the groups in the order of z, for those who go down step by step."""
        found, start = [], 0
        for i, scale in enumerate(_scales(self.ladder)):
            for j in range(scale.groups):
                found.append(Group(i, j, slice(start, start + scale.num_latents)))
                start += scale.num_latents
        return found

    def first_maps(self) -> Maps:
        """Return the maps above the first group."""
        return _first_maps(self.ladder, self.decoder, len(self.features[0]))

    def moments(self, scale: int, group: ArrayLike, maps: Maps) -> Posterior:
        """Return q(z_i | z_<i, x) of a group, given the maps above it."""
        own = jax.tree.map(lambda leaf: leaf[group], _stacked(self.own[scale]))
        found = _scales(self.ladder)[scale]
        maps = _enlarged(maps, found.size)
        return _moments(self.ladder, found, own, maps, self.features[scale])

    def advanced(self, scale: int, group: ArrayLike, maps: Maps, z: Latents) -> Maps:
        """Return the maps below a group, given its latents."""
        stacked = _stacked(self.decoder["scales"][scale])
        own = jax.tree.map(lambda leaf: leaf[group], stacked)
        found = _scales(self.ladder)[scale]
        return _advanced(self.ladder, found, own, _enlarged(maps, found.size), z)

    def take(self, index: Array) -> "DescendingPosterior":
        """Return the q of some examples."""
        taken = tuple(part[index] for part in self.features)
        return DescendingPosterior(self.decoder, self.own, taken, self.ladder)

    def _go_down(
        self, values: Latents, choose: Callable[[Posterior, Array], Array]
    ) -> tuple[Latents, Posterior, Maps]:
        lead = values.shape[:-1]
        flat = values.reshape(prod(lead), values.shape[-1])

        def like_draws(maps: Array) -> Array:
            many = jnp.broadcast_to(maps, (*lead, *maps.shape[-3:]))
            return many.reshape(prod(lead), *maps.shape[-3:])

        features = tuple(map(like_draws, self.features))
        z, q, maps = _descend(
            self.ladder, self.decoder, flat, _Choice(self.own, features, choose)
        )
        return (
            z.reshape(values.shape),
            Posterior(*(m.reshape(values.shape) for m in q)),
            maps,
        )


class _Choice(NamedTuple):
    """How a way down chooses z of each group from the values that it is given."""

    own: Any
    features: tuple[Array, ...]
    choose: Callable[[Posterior, Array], Array]


class _Scale(NamedTuple):
    """The maps of one scale, and the networks that all its groups share in shape."""

    size: Shape  # height and width
    groups: int
    latents: int
    ahead: Network  # h -> r(h), log s(h)
    inject: Network  # V, at each place
    after: Network  # h -> what is added to it
    posterior: Network  # h, e -> a, log b

    @property
    def num_latents(self) -> int:
        """Of one group."""
        return prod(self.size) * self.latents


def _scales(ladder: Ladder) -> list[Any]:
    """Return the `_Scale`s, the coarsest first."""
    found = []
    height, width = ladder.shape[:2]
    common: dict[str, Any] = {
        "width": ladder.width,
        "activation": ladder.activation,
        "dtype": ladder.dtype,
    }
    channels = ladder.channels
    for groups, latents in zip(ladder.groups, ladder.latents, strict=True):
        height, width = -(-height // 2), -(-width // 2)
        size = height, width
        maps, both = (*size, channels), (*size, 2 * channels)
        found.append(
            _Scale(
                size,
                groups,
                latents,
                networks.conv_block(maps, (*size, channels + latents), **common),
                networks.mlp((latents,), (channels,), hidden=()),
                networks.conv_block(maps, maps, **common),
                networks.conv_block(both, (*size, 2 * latents), **common),
            )
        )
    return found[::-1]


def num_latents(ladder: Ladder) -> int:
    """Return the number of all latents."""
    return sum(prod(s.size) * s.groups * s.latents for s in _scales(ladder))


def _descend(
    ladder: Ladder, params: Params, values: Latents, choice: _Choice | None = None
) -> tuple[Latents, Any, Maps]:
    """Go down; return z, q's moments where it was chosen by q, and the last maps."""
    maps, done = _first_maps(ladder, params, len(values)), 0
    all_z, all_q = [], []
    for i, scale in enumerate(_scales(ladder)):
        part = values[:, done : done + scale.groups * scale.num_latents]
        done += part.shape[1]
        part = part.reshape(len(values), scale.groups, scale.num_latents)

        def step(maps: Maps, group: Any, scale: _Scale = scale, i: int = i) -> Any:
            own, q_own, value = group
            if choice is None:
                z, q = value, None
            else:
                q = _moments(ladder, scale, q_own, maps, choice.features[i])
                z = choice.choose(q, value)
            return _advanced(ladder, scale, own, maps, z), (z, q)

        own = params["scales"][i], choice.own[i] if choice else None
        groups = (*map(_stacked, own), jnp.moveaxis(part, 1, 0))
        maps, (z, q) = jax.lax.scan(step, _enlarged(maps, scale.size), groups)
        all_z.append(_rows_first(z))
        all_q.append(jax.tree.map(_rows_first, q))
    q = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=-1), *all_q)
    return jnp.concatenate(all_z, axis=-1), q, maps


def _first_maps(ladder: Ladder, params: Params, rows: int) -> Maps:
    start = params["start"].reshape(*_scales(ladder)[0].size, ladder.channels)
    return jnp.broadcast_to(start, (rows, *start.shape))


def _moments(
    ladder: Ladder, scale: _Scale, own: Params, maps: Maps, features: Maps
) -> Posterior:
    """Return q of a group's latents, given the maps above and the encoder's."""
    both = jnp.concatenate([maps, features], axis=-1)
    moments = _damping(ladder) * scale.posterior.apply(own, both)
    loc, log_scale = (
        part.reshape(len(maps), -1) for part in jnp.split(moments, 2, axis=-1)
    )
    return Posterior(loc, bounded_log_scale(log_scale))


def _advanced(
    ladder: Ladder, scale: _Scale, own: Params, maps: Maps, z: Latents
) -> Maps:
    """Return the maps below a group, given its latents."""
    damping = _damping(ladder)
    ahead = scale.ahead.apply(own["ahead"], maps)
    size = jnp.exp(damping * ahead[..., ladder.channels :])
    z = z.reshape(size.shape)
    added = ahead[..., : ladder.channels] + scale.inject.apply(own["inject"], size * z)
    maps = maps + damping * added
    return maps + damping * scale.after.apply(own["after"], maps)


def _damping(ladder: Ladder) -> float:
    """Return the factor of what each block adds, so that depth does not add up."""
    return (2 * sum(ladder.groups)) ** -0.5


def _image(ladder: Ladder, params: Params, maps: Maps) -> Array:
    """Return the decoder's outputs, (batch, *shape, num_outputs), of the last maps."""
    fine = _unfolded(_last(ladder).apply(params["output"], maps))
    height, width = ladder.shape[:2]
    return fine[:, :height, :width].reshape(len(maps), *ladder.shape, -1)


def _last(ladder: Ladder) -> Network:
    """Return the network from the last maps to 2 × 2 places of the image."""
    size = _scales(ladder)[-1].size
    return networks.conv_block(
        (*size, ladder.channels),
        (*size, 4 * ladder.outputs),
        width=ladder.width,
        activation=ladder.activation,
        dtype=ladder.dtype,
    )


@cached
def ladder_decoder(ladder: Ladder) -> Network:
    """Return the network from all latents to an image: (…, latent) -> (…, *shape, k).

    Example:
        >>> ladder = Ladder((8, 8), 1, (2, 1), (1, 3), 4, 2, "silu", None)
        >>> network, z = ladder_decoder(ladder), jnp.zeros((5, num_latents(ladder)))
        >>> params = jax.eval_shape(network.init, jax.random.key(0))
        >>> jax.eval_shape(network.apply, params, z).shape
        (5, 8, 8, 1)
    """
    scales = _scales(ladder)

    def init(key: Key) -> Params:
        keys = jax.random.split(key, len(scales) + 1)
        groups = [
            [
                _init(k, ahead=s.ahead, inject=s.inject, after=s.after)
                for k in jax.random.split(key, s.groups)
            ]
            for s, key in zip(scales, keys[1:], strict=True)
        ]
        start = jnp.zeros(prod(scales[0].size) * ladder.channels)
        output = _last(ladder).init(keys[0])
        return {"start": start, "scales": groups, "output": output}

    def apply(params: Params, z: Array) -> Array:
        flat = z.reshape(-1, z.shape[-1])
        outputs = _image(ladder, params, _descend(ladder, params, flat)[2])
        return outputs.reshape(*z.shape[:-1], *outputs.shape[1:])

    return Network(init, apply)


@cached
def ladder_encoder(ladder: Ladder) -> Network:
    """Return the network from an image to the maps of all scales, side by side.

    Example:
        >>> ladder = Ladder((8, 8), 1, (2, 1), (1, 3), 4, 2, "silu", None)
        >>> network = ladder_encoder(ladder)
        >>> params = jax.eval_shape(network.init, jax.random.key(0))
        >>> x = jnp.zeros((5, 8, 8))
        >>> jax.eval_shape(network.apply, params, x).shape  # 2 × 2 × 4 + 4 × 4 × 4
        (5, 80)
    """
    scales = _scales(ladder)[::-1]  # from the finest up
    colours = prod(ladder.shape[2:])
    into = [colours, *[ladder.channels] * (len(scales) - 1)]
    first = [networks.mlp((4 * n,), (ladder.channels,), hidden=()) for n in into]
    damping = (2 * len(scales)) ** -0.5

    def init(key: Key) -> Params:
        keys = jax.random.split(key, len(scales))
        return [
            _init(k, first=f, one=s.after, two=s.after)
            for k, f, s in zip(keys, first, scales, strict=True)
        ]

    def apply(params: Params, x: Array) -> Array:
        lead = x.shape[: x.ndim - len(ladder.shape)]
        maps = x.reshape(prod(lead), *ladder.shape[:2], colours)
        features = []
        for own, network, scale in zip(params, first, scales, strict=True):
            maps = network.apply(own["first"], _folded(maps))
            for name in ("one", "two"):
                maps = maps + damping * scale.after.apply(own[name], maps)
            features.append(maps.reshape(len(maps), -1))
        return jnp.concatenate(features[::-1], axis=-1).reshape(*lead, -1)

    return Network(init, apply)


@cached
def descending_posterior(ladder: Ladder) -> PosteriorFamily:
    """Return q(z_1 | x) q(z_2 | z_1, x) …, for a model with `ladder_decoder`.

    Example:
        >>> ladder = Ladder((8, 8), 1, (2, 1), (1, 3), 4, 2, "silu", None)
        >>> descending_posterior(ladder).code_shape(44)
        (80,)
    """
    scales = _scales(ladder)
    sizes = [prod(s.size) * ladder.channels for s in scales]

    def init(key: Key, latent: int) -> Params:
        keys = jax.random.split(key, len(scales))
        return [
            [s.posterior.init(k) for k in jax.random.split(key, s.groups)]
            for s, key in zip(scales, keys, strict=True)
        ]

    def distribution(params: Any, code: Array) -> DescendingPosterior:
        parts = jnp.split(code, np.cumsum(sizes)[:-1], axis=-1)
        features = tuple(
            part.reshape(*code.shape[:-1], *s.size, ladder.channels)
            for part, s in zip(parts, scales, strict=True)
        )
        return DescendingPosterior(params.decoder, params.posterior, features, ladder)

    return PosteriorFamily(
        "descending", lambda latent: (sum(sizes),), init, distribution
    )


@cached
def residual_ladder(
    shape: Shape,
    *,
    groups: tuple[int, ...] = (4, 4),
    latents: tuple[int, ...] = (1, 4),
    channels: int = 64,
    width: int = 32,
    activation: str = "silu",
    likelihood: Likelihood | None = None,
    dtype: str | None = None,
) -> VAE:
    """Return a deep ladder of residual convolutions, for images.

    Args:
        shape: of one image, (height, width) or (height, width, colours).
        groups: of latents at each scale, the finest first: it has half the image's
            height and width, the next one a quarter.
        latents: of a group at each place of its maps, at each scale.
        channels: of all maps.
        width: channels inside of the residual blocks.
        activation: a name in `networks.ACTIVATIONS`.
        likelihood: as for `vae`.
        dtype: of the convolutions, as for `vae`.

    Raises:
        ValueError: no image, sizes that are not whole and positive, not as many
            `latents` as `groups`, a name that is not known.

    References:
        Child (2021), arXiv:2011.10650.

    Example:
        >>> model = residual_ladder((8, 8), groups=(2, 1), channels=8, width=4)
        >>> params = jax.eval_shape(lambda: autoencoders.init(model, jax.random.key(0)))
        >>> model.latent, autoencoders.num_params(params)  # 2·16·1 + 4·4
        (48, 3590)
    """
    networks.check_shapes(shape=shape, groups=groups, latents=latents)
    networks.check_image(shape)
    for name, value in (("channels", channels), ("width", width)):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")
    remedy = f"give {len(groups)} numbers, as of groups"
    check(len(latents) == len(groups), "latents", latents, remedy)
    likelihood, prior, _ = autoencoders.parts_of(likelihood, None, None)
    outputs = prod(shape[2:]) * likelihood.num_outputs
    sizes = channels, width, activation, dtype
    ladder = Ladder(shape, outputs, groups, latents, *sizes)
    return VAE(
        ladder_encoder(ladder),
        ladder_decoder(ladder),
        num_latents(ladder),
        shape,
        likelihood,
        prior,
        descending_posterior(ladder),
    )


def _init(key: Key, **parts: Network) -> dict[str, Params]:
    keys = jax.random.split(key, len(parts))
    return {
        name: part.init(k) for (name, part), k in zip(parts.items(), keys, strict=True)
    }


def _stacked(groups: Sequence[Params] | None) -> Any:
    """Return the parameters of equal networks with a leading axis of groups."""
    return groups and jax.tree.map(lambda *leaves: jnp.stack(leaves), *groups)


def _rows_first(values: Array) -> Array:
    """Return (groups, rows, …) as (rows, all latents)."""
    return jnp.moveaxis(values, 0, 1).reshape(values.shape[1], -1)


def _folded(maps: Maps) -> Maps:
    """Return 2 × 2 places as one of four times the channels; odd sizes are filled."""
    rows, height, width, channels = maps.shape
    maps = jnp.pad(maps, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    height, width = -(-height // 2), -(-width // 2)
    parts = maps.reshape(rows, height, 2, width, 2, channels)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(rows, height, width, -1)


def _unfolded(maps: Maps) -> Maps:
    """Undo `_folded`, for even sizes."""
    rows, height, width, channels = maps.shape
    parts = maps.reshape(rows, height, width, 2, 2, channels // 4)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(
        rows, 2 * height, 2 * width, channels // 4
    )


def _enlarged(maps: Maps, size: Shape) -> Maps:
    """Return maps of a size: as they are, or each place four times and cut."""
    if maps.shape[1:3] == size:
        return maps
    many = jnp.repeat(jnp.repeat(maps, 2, axis=1), 2, axis=2)
    return many[:, : size[0], : size[1]]
