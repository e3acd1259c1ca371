r"""Several stochastic layers: latents above latents.

    p(z) = p(z_top) … p(z_1 | z_2),    x from z_1 alone, p(z_top) = N(0, I) by default
    q(z | x) = q(z_1 | x) q(z_2 | z_1) …                 upwards, or a ladder:
    q(z | x) = q(z_top | x) … q(z_1 | z_2, x)            downwards, as the prior

The layers stand beside each other in one z = (z_1, z_2, …, z_top), the lowest first.
So a deep model is a VAE with a prior and a posterior of this structure and a decoder
that sees z_1: everything that takes a VAE takes it. The prior of the top layer may be
learned, `top=priors.mixture(100)`; of a ladder it may be a VampPrior.

References:
    Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, figure 1 (two layers);
    Sønderby et al. (2016), arXiv:1602.02282 (ladders); Tomczak & Welling (2018),
    arXiv:1705.07120, section 3 (VampPriors above two layers).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial, register_dataclass
from jax.typing import ArrayLike
from jaxtyping import Array

from vijax.types import Key, Params
from vijax.vae.models import autoencoders, networks, priors
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vae.models.likelihoods import Likelihood
from vijax.vae.models.memoize import cached
from vijax.vae.models.networks import Network, Shape
from vijax.vae.models.posteriors import (
    Latents,
    Posterior,
    PosteriorFamily,
    from_moments,
)
from vijax.vae.models.priors import MixturePrior, Prior
from vijax.validate import check, is_whole

Widths = tuple[tuple[int, ...], ...]


class LayeredPosterior(NamedTuple):
    """q(z | x) = q(z_1 | x) q(z_2 | z_1) …, a batch of them."""

    lowest: Posterior
    upwards: tuple[Partial, ...]  # z_i -> loc and log_scale of z_{i+1}

    @property
    def loc(self) -> Latents:
        """Where noise of zero goes: the mean of each layer given the one below."""
        z = below = self.lowest.loc
        for step in self.upwards:
            below = from_moments(step(below)).loc
            z = jnp.concatenate([z, below], axis=-1)
        return z

    def transform(self, noise: Latents) -> Latents:
        """Map standard normal noise to draws."""
        return self.transform_and_log_prob(noise)[0]

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Map noise to draws, and return their log density."""
        own, rest = _cut(noise, self.lowest.loc.shape[-1])
        below, log_q = self.lowest.transform_and_log_prob(own)
        layers = [below]
        for step in self.upwards:
            q = from_moments(step(below))
            own, rest = _cut(rest, q.loc.shape[-1])
            below, log_layer = q.transform_and_log_prob(own)
            layers, log_q = [*layers, below], log_q + log_layer
        return jnp.concatenate(layers, axis=-1), log_q

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x)."""
        below, rest = _cut(z, self.lowest.loc.shape[-1])
        log_q = self.lowest.log_prob(below)
        for step in self.upwards:
            q = from_moments(step(below))
            below, rest = _cut(rest, q.loc.shape[-1])
            log_q += q.log_prob(below)
        return log_q

    def take(self, index: Array) -> "LayeredPosterior":
        """Return the q of some examples."""
        return self._replace(lowest=self.lowest.take(index))


class LadderPosterior(NamedTuple):
    """q(z | x) = q(z_top | x) … q(z_1 | z_2, x), a batch of them.

    Below the top a layer is the product of p(z_i | z_{i+1}), the prior's own, and a
    normal that the encoder says: precisions add, means are weighed by them.
    """

    encoded: Posterior  # of the layers below the top, the lowest first
    top: Posterior  # q(z_top | x)
    downwards: tuple[Partial, ...]  # the prior's

    @property
    def loc(self) -> Latents:
        """Where noise of zero goes."""
        parts = self.encoded.loc, self.top.loc
        return self.transform(jnp.zeros_like(jnp.concatenate(parts, axis=-1)))

    def transform(self, noise: Latents) -> Latents:
        """Map standard normal noise to draws."""
        return self.transform_and_log_prob(noise)[0]

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Map noise to draws, and return their log density."""
        return self._downwards(noise, Posterior.transform_and_log_prob)

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x)."""
        return self._downwards(z, lambda q, own: (own, q.log_prob(own)))[1]

    def take(self, index: Array) -> "LadderPosterior":
        """Return the q of some examples."""
        taken = self.encoded.take(index), self.top.take(index)
        return LadderPosterior(*taken, self.downwards)

    def _downwards(
        self, values: Latents, visit: Callable[[Posterior, Array], tuple[Array, Array]]
    ) -> tuple[Latents, Array]:
        """Visit q of each layer with its part of the values, the top first."""
        values, part = _cut(values, -self.top.loc.shape[-1])
        above, log_q = visit(self.top, part)
        layers, rest = [above], self.encoded
        for step in self.downwards:
            p = from_moments(step(above))
            rest, own = _split(rest, p.loc.shape[-1])
            values, part = _cut(values, -p.loc.shape[-1])
            above, log_layer = visit(product(p, own), part)
            layers, log_q = [above, *layers], log_q + log_layer
        return jnp.concatenate(layers, axis=-1), log_q


def product(p: Posterior, q: Posterior) -> Posterior:
    """Return the normal whose density is proportional to p(z) q(z).

    Example:
        >>> p = Posterior(jnp.array([0.0]), jnp.array([0.0]))
        >>> q = Posterior(jnp.array([3.0]), jnp.array([0.0]))
        >>> product(p, q).loc.item()
        1.5
    """
    log_precision = jnp.logaddexp(-2 * p.log_scale, -2 * q.log_scale)
    share = jnp.exp(-2 * q.log_scale - log_precision)
    return Posterior((1 - share) * p.loc + share * q.loc, -0.5 * log_precision)


@register_dataclass
@dataclass(frozen=True)
class LayeredPrior:
    """p(z) = p(z_top) … p(z_1 | z_2), its top N(0, I) or a flow: draws are a map."""

    top: Any  # p(z_top)
    downwards: tuple[Partial, ...]  # z_{i+1} -> loc and log_scale of z_i; top first
    size: int = field(metadata={"static": True})  # of z_top; no leaf

    def log_prob(self, z: Latents) -> Array:
        """Return log p(z)."""
        return _log_prob(self, z)

    def sample(self, key: Key, num_samples: int) -> Latents:
        """Draw z, the top layer first."""
        return _sample(self, key, num_samples)

    def transform(self, noise: Latents) -> Latents:
        """Map standard normal noise to draws."""
        rest, own = _cut(noise, -self.size)
        above = self.top.transform(own)
        layers = [above]
        for step in self.downwards:
            p = from_moments(step(above))
            rest, own = _cut(rest, -p.loc.shape[-1])
            above = p.transform(own)
            layers = [above, *layers]
        return jnp.concatenate(layers, axis=-1)

    def inverse(self, z: Latents) -> Latents:
        """Return the noise that z is made of."""
        rest, above = _cut(z, -self.size)
        layers = [self.top.inverse(above)]
        for step in self.downwards:
            p = from_moments(step(above))
            rest, above = _cut(rest, -p.loc.shape[-1])
            layers = [(above - p.loc) * jnp.exp(-p.log_scale), *layers]
        return jnp.concatenate(layers, axis=-1)


@register_dataclass
@dataclass(frozen=True)
class LayeredMixture:
    """p(z) = p(z_top) … p(z_1 | z_2), its top a mixture: there is no map of noise."""

    top: MixturePrior
    downwards: tuple[Partial, ...]
    size: int = field(metadata={"static": True})

    def log_prob(self, z: Latents) -> Array:
        """Return log p(z)."""
        return _log_prob(self, z)

    def sample(self, key: Key, num_samples: int) -> Latents:
        """Draw z, the top layer first."""
        return _sample(self, key, num_samples)


def _log_prob(p: LayeredPrior | LayeredMixture, z: Latents) -> Array:
    rest, above = _cut(z, -p.size)
    log_p = p.top.log_prob(above)
    for step in p.downwards:
        layer = from_moments(step(above))
        rest, above = _cut(rest, -layer.loc.shape[-1])
        log_p += layer.log_prob(above)
    return log_p


def _sample(p: LayeredPrior | LayeredMixture, key: Key, num_samples: int) -> Latents:
    top_key, *keys = jax.random.split(key, 1 + len(p.downwards))
    layers = [p.top.sample(top_key, num_samples)]
    for own_key, step in zip(keys, p.downwards, strict=True):
        layer = from_moments(step(layers[0]))
        noise = jax.random.normal(own_key, layer.loc.shape, layer.loc.dtype)
        layers = [layer.transform(noise), *layers]
    return jnp.concatenate(layers, axis=-1)


@cached
def layered_prior(
    latents: tuple[int, ...],
    *,
    hidden: Widths,
    activation: str = "gelu",
    top: Prior | None = None,
) -> Prior:
    """Return p(z_top) … p(z_1 | z_2): below the top, normals with networks as moments.

    Args:
        latents: of each layer, the lowest first.
        hidden: widths of the hidden layers between one layer and the next, lowest
            first: one tuple less than there are layers; downwards they are reversed.
        activation: a name in `networks.ACTIVATIONS`.
        top: p(z_top), from `priors`; N(0, I) by default.

    Raises:
        ValueError: as `layered_vae`.

    Example:
        >>> layered_prior((3, 2), hidden=((8,),)).name
        'layered'
    """
    nets = _downward_networks(latents, hidden, activation)
    own = top or priors.standard_normal()

    def init(key: Key, model: Any) -> tuple[Params, ...]:
        steps = _draw(nets, key)
        if top is None:
            return steps
        top_key = jax.random.fold_in(key, len(nets))
        return (*steps, own.init(top_key, _top_model(model, own, latents[-1])))

    def distribution(model: Any, params: Any) -> LayeredPrior | LayeredMixture:
        view = () if top is None else params.prior[-1]
        upper = _top_model(model, own, latents[-1])
        p = own.distribution(upper, params._replace(prior=view))
        kind = LayeredMixture if isinstance(p, MixturePrior) else LayeredPrior
        return kind(p, _steps(nets, params.prior[: len(nets)]), latents[-1])

    return Prior("layered", init, distribution)


def _top_model(model: VAE, top: Prior, size: int) -> VAE:
    """Return a VAE of the top layer alone, whose q(z_top | x) a VampPrior is made of.

    Its encoder is the whole model's; of a ladder's code the last latents are the top's.
    """

    def distribution(params: Params, code: Array) -> Posterior:
        return _split(from_moments(code), size)[1]

    family = PosteriorFamily(
        "top of a ladder",
        model.posterior.code_shape,
        lambda key, latent: (),
        distribution,
    )
    return model._replace(latent=size, prior=top, posterior=family)


def with_top_inputs(model: VAE, params: ModelParams, images: ArrayLike) -> ModelParams:
    """Return parameters of a ladder whose VampPrior starts at given images.

    Args:
        model: a ladder with `top=priors.vamp(…)`.
        params: its parameters.
        images: as for `priors.with_pseudo_inputs`, one for each component.

    Raises:
        ValueError: another prior of the top, or as `priors.with_pseudo_inputs`.

    Example:
        >>> sizes = {"latents": (3, 2), "hidden": ((), ())}
        >>> model = layered_vae((2,), ladder=True, top=priors.vamp(1), **sizes)
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> params = with_top_inputs(model, params, jnp.eye(2)[1:])
        >>> jax.nn.sigmoid(params.prior[-1]["inputs"]).round(3).tolist()
        [[0.05..., 0.95...]]
    """
    top = dict(model.prior.recipe.arguments).get("top") if model.prior.recipe else None
    if top is None:
        raise ValueError("the model's top is not learned: give layered_vae(…, top=…)")
    view = params._replace(prior=params.prior[-1])
    upper = _top_model(model, top, model.latent)
    moved = priors.with_pseudo_inputs(upper, view, images)
    return params._replace(prior=(*params.prior[:-1], moved.prior))


@cached
def layered_posterior(
    latents: tuple[int, ...], *, hidden: Widths, activation: str = "gelu"
) -> PosteriorFamily:
    """Return q(z_1 | x) q(z_2 | z_1) …, normals whose moments are networks.

    Args:
        latents: of each layer, the lowest first.
        hidden: as for `layered_prior`; upwards they are as given.
        activation: a name in `networks.ACTIVATIONS`.

    Raises:
        ValueError: as `layered_vae`.

    Example:
        >>> layered_posterior((3, 2), hidden=((8,),)).code_shape(5)  # of z_1 alone
        (2, 3)
    """
    check_layers(latents, hidden, between=True)
    nets = tuple(
        networks.mlp((own,), (2, above), hidden=widths, activation=activation)
        for own, above, widths in zip(latents[:-1], latents[1:], hidden, strict=True)
    )

    def distribution(params: Any, code: Array) -> LayeredPosterior:
        return LayeredPosterior(from_moments(code), _steps(nets, params.posterior))

    return PosteriorFamily(
        "layered",
        lambda latent: (2, latents[0]),
        lambda key, latent: _draw(nets, key),
        distribution,
    )


@cached
def ladder_posterior(
    latents: tuple[int, ...], *, hidden: Widths, activation: str = "gelu"
) -> PosteriorFamily:
    """Return q(z_top | x) … q(z_1 | z_2, x), for a model with `layered_prior`.

    Args:
        latents: as the prior's.
        hidden: as the prior's.
        activation: as the prior's.

    Raises:
        ValueError: as `layered_vae`.

    Example:
        >>> ladder_posterior((3, 2), hidden=((8,),)).code_shape(5)  # of all layers
        (2, 5)
    """
    nets = _downward_networks(latents, hidden, activation)

    def distribution(params: Any, code: Array) -> LadderPosterior:
        encoded, top = _split(from_moments(code), latents[-1])
        steps = _steps(nets, params.prior[: len(nets)])
        return LadderPosterior(encoded, top, steps)

    return PosteriorFamily(
        "ladder", lambda latent: (2, latent), lambda key, latent: (), distribution
    )


@cached
def first_latents(network: Network, *, latent: int) -> Network:
    """Return the decoder that sees the first latents alone, those of the lowest layer.

    Example:
        >>> decoder = first_latents(networks.mlp((1,), (2,), hidden=()), latent=1)
        >>> params = decoder.init(jax.random.key(0))
        >>> x = decoder.apply(params, jnp.array([[0.0, 5.0], [0.0, -5.0]]))
        >>> x.tolist()
        [[0.0, 0.0], [0.0, 0.0]]
    """

    def apply(params: Params, z: Array) -> Array:
        return network.apply(params, z[..., :latent])

    return Network(network.init, apply)


@cached
def layered_vae(
    shape: Shape,
    *,
    latents: tuple[int, ...] = (100, 50),
    hidden: Widths = ((200, 200), (100, 100)),
    ladder: bool = False,
    activation: str = "tanh",
    likelihood: Likelihood | None = None,
    top: Prior | None = None,
    dtype: str | None = None,
) -> VAE:
    """Return a VAE of several stochastic layers; by default the IWAE paper's two.

        q(z | x) = q(z_1 | x) q(z_2 | z_1) …,    p(z, x) = p(z_top) … p(x | z_1)

    Its z holds all layers, the lowest first.

    Args:
        shape: of one image or of one row of a table.
        latents: of each layer, the lowest first.
        hidden: widths of the hidden layers below each layer, those between x and z_1
            first; the way down mirrors the way up.
        ladder: whether q goes downwards, as the prior does (`LadderPosterior`), and the
            encoder speaks of all layers; by default upwards.
        activation: a name in `networks.ACTIVATIONS`.
        likelihood: as for `vae`.
        top: p(z_top), from `priors`; N(0, I) by default. A VampPrior needs a ladder.
        dtype: of the products between x and z_1, as for `autoencoder`.

    Raises:
        ValueError: fewer than two layers, not as many widths as layers, a size that is
            not whole and positive, a name that is not known, a VampPrior without a
            ladder.

    References:
        Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, section 5.

    Example:
        >>> model = layered_vae((8, 8), latents=(4, 2), hidden=((16,), (8,)))
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> model.latent, autoencoders.num_params(params)
        (6, 2516)
    """
    networks.check_shapes(shape=shape, latents=latents)
    check_layers(latents, hidden)
    likelihood, _, _ = autoencoders.parts_of(likelihood, top, None)
    if top is not None and top.name == "vamp" and not ladder:
        raise ValueError(
            "top = priors.vamp(…) needs q(z_top | x), which only a ladder has: "
            "give ladder=True, or priors.mixture(…)"
        )
    outputs = (*shape, likelihood.num_outputs)
    lowest = (latents[0],)
    common: dict[str, Any] = {"hidden": hidden[1:], "activation": activation}
    family = ladder_posterior if ladder else layered_posterior
    posterior = family(latents, **common)
    code = posterior.code_shape(sum(latents))
    encoder, decoder = autoencoders.mirrored_networks(
        shape, code, lowest, outputs, hidden[0], (), activation, dtype
    )
    return VAE(
        encoder,
        first_latents(decoder, latent=latents[0]),
        sum(latents),
        shape,
        likelihood,
        layered_prior(latents, top=top, **common),
        posterior,
    )


def _downward_networks(
    latents: tuple[int, ...], hidden: Widths, activation: str
) -> tuple[Network, ...]:
    """Return the networks from each layer to the one below, the top first."""
    check_layers(latents, hidden, between=True)
    return tuple(
        networks.mlp((above,), (2, own), hidden=widths[::-1], activation=activation)
        for own, above, widths in zip(latents[:-1], latents[1:], hidden, strict=True)
    )[::-1]


def _split(q: Posterior, size: int) -> tuple[Posterior, Posterior]:
    """Return the moments of the layers below, and of the uppermost one."""
    parts = [_cut(moments, -size) for moments in q]
    return Posterior(*(p[0] for p in parts)), Posterior(*(p[1] for p in parts))


def _steps(nets: Sequence[Network], params: Sequence[Params]) -> tuple[Partial, ...]:
    return tuple(Partial(n.apply, p) for n, p in zip(nets, params, strict=True))


def _draw(nets: Sequence[Network], key: Key) -> tuple[Params, ...]:
    keys = jax.random.split(key, len(nets))
    return tuple(net.init(key) for net, key in zip(nets, keys, strict=True))


def _cut(z: Latents, size: int) -> tuple[Array, Array]:
    return z[..., :size], z[..., size:]


def check_layers(
    latents: tuple[int, ...], hidden: Widths, *, between: bool = False
) -> None:
    """Raise a ValueError unless there are two layers, with widths for each.

    Args:
        latents: of each layer.
        hidden: widths below each layer, or only between layers.
        between: whether `hidden` begins between the first two layers.
    """
    whole = np.array([is_whole(n) and n >= 1 for n in latents])
    check(whole, "latents", latents, "give 1 latent or more for each layer")
    check(len(latents) >= 2, "latents", latents, "give 2 layers or more, as (100, 50)")
    wanted = len(latents) - between
    remedy = f"give {wanted} tuples of widths, the lowest first"
    nested = all(isinstance(widths, tuple) for widths in hidden)
    check(nested and len(hidden) == wanted, "hidden", hidden, remedy)
