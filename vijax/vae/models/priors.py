r"""Priors p(z): the standard normal, and those that are learned with the model.

    standard_normal()               N(0, I), what a VAE has by default
    mixture(num_components)         a mixture of normals
    vamp(num_components)            the mean of q(z | u_k) over pseudo-inputs u_k
    flow()                          a normalising flow
    layered(latents)                p(z_top) p(z_… | z_…): from `layers`

`models.vae(…, prior=priors.mixture(10))`. A prior draws its parameters and makes a
distribution of them:

    init(key, model)              -> the prior's part of the model's parameters
    distribution(model, params)   -> p(z), with `log_prob(z)` in nats, (…, latent) ->
                                     (…), and `sample(key, num_samples)`

A prior of your own is a `Prior` of two such functions. `models.prior_of(model, params)`
is a model's p(z). The KL of q(z | x) to a learned prior has no closed form: it is
estimated with the draws of z that the bound has anyway.

References:
    Tomczak & Welling (2018), arXiv:1705.07120 (VampPrior).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models.memoize import Recipe, cached, reduced
from vijax.vae.models.posteriors import (
    LOG_2PI,
    Latents,
    Posterior,
    normal_log_prob,
)
from vijax.validate import check, is_whole
from vijax.vi.families.flow import CouplingFlow, Flow


class PriorDistribution(Protocol):
    """What every p(z) has."""

    def log_prob(self, z: Latents) -> Array:
        """Return log p(z) in nats."""

    def sample(self, key: Key, num_samples: int) -> Latents:
        """Draw z, (num_samples, latent)."""


class Prior(NamedTuple):
    """How a prior's parameters are drawn, and the p(z) that is made of them."""

    name: str
    init: Callable[[Key, Any], Params]  # (key, model)
    distribution: Callable[[Any, Params], Any]  # (model, all its parameters)
    recipe: Recipe | None = None  # how it was made, for a file

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how pickle makes it again."""
        return reduced(self)


class StandardNormal(NamedTuple):
    """p(z) = N(0, I).

    Example:
        >>> p = StandardNormal(jnp.zeros(2))
        >>> round(p.log_prob(jnp.zeros(2)).item(), 5)
        -1.83788
    """

    loc: Float[Array, "..."]  # (latent,), zeros

    def log_prob(self, z: Latents) -> Array:
        """Return log p(z)."""
        return normal_log_prob(z)

    def sample(self, key: Key, num_samples: int) -> Latents:
        """Draw z."""
        return jax.random.normal(key, (num_samples, *self.loc.shape), self.loc.dtype)

    def transform(self, noise: Latents) -> Latents:
        """Return the noise: it is a draw."""
        return noise

    def inverse(self, z: Latents) -> Latents:
        """Return the noise that z is made of."""
        return z


class NormalPrior(NamedTuple):
    """p(z | c) = N(loc, diag(scale²)), one for each example of a batch."""

    moments: Posterior  # loc and log_scale

    def log_prob(self, z: Latents) -> Array:
        """Return log p(z | c)."""
        return self.moments.log_prob(z)

    def sample(self, key: Key, num_samples: int) -> Latents:
        """Draw z, (num_samples, …, latent), for each example."""
        like = self.moments.loc
        noise = jax.random.normal(key, (num_samples, *like.shape), like.dtype)
        return self.moments.transform(noise)


class MixturePrior(NamedTuple):
    """p(z) = Σ_k w_k q_k(z), over a batch of distributions q_k.

    Example:
        >>> parts = Posterior(jnp.array([[-1.0], [1.0]]), jnp.zeros((2, 1)))
        >>> p = MixturePrior(jnp.zeros(2), parts)
        >>> round(p.log_prob(jnp.zeros(1)).item(), 5)  # log N(0 | 1, 1)
        -1.41894
    """

    logits: Float[Array, "..."]  # (components,), of the weights
    components: Any  # a batch of them, as `posteriors` describes

    def log_prob(self, z: Latents) -> Array:
        """Return log p(z)."""
        return jax.nn.logsumexp(self.log_joint(z), axis=-1)

    def log_joint(self, z: Latents) -> Float[Array, "... components"]:
        """Return log w_k q_k(z) of every component."""
        log_weights = jax.nn.log_softmax(self.logits)
        if isinstance(self.components, Posterior):
            return log_weights + log_prob_table(self.components, z)
        return log_weights + self.components.log_prob(z[..., None, :])

    def sample(self, key: Key, num_samples: int) -> Latents:
        """Draw a component, then z from it."""
        which_key, noise_key = jax.random.split(key)
        which = jax.random.categorical(which_key, self.logits, shape=(num_samples,))
        chosen = self.components.take(which)
        like = chosen.loc
        return chosen.transform(jax.random.normal(noise_key, like.shape, like.dtype))


def log_prob_table(normals: Posterior, z: Latents) -> Float[Array, "... components"]:
    """Return the log density of every z under every normal, of hundreds in no time.

    The values come from differences z - loc, which keep their digits where a normal is
    narrow; the gradient comes from matrix products, which are fast.

    Example:
        >>> normals = Posterior(jnp.array([[0.0], [100.0]]), jnp.array([[0.0], [-7.0]]))
        >>> log_prob_table(normals, jnp.array([[100.0]])).round(3).tolist()
        [[-5000.9..., 6.08...]]
    """
    rows = z.reshape(-1, z.shape[-1])
    values = _square_by_differences(*jax.lax.stop_gradient((normals, rows)))
    products = _square_by_products(normals, rows)
    square = values + (products - jax.lax.stop_gradient(products))
    size = normals.loc.shape[-1]
    table = -0.5 * (square + size * LOG_2PI) - jnp.sum(normals.log_scale, axis=-1)
    return table.reshape(*z.shape[:-1], -1)


def _square_by_differences(normals: Posterior, z: Latents) -> Array:
    """Return Σ_j ((z_j - loc_j) / scale_j)² for all pairs, latent by latent."""
    precision = jnp.exp(-normals.log_scale)

    def add(total: Array, one: tuple[Array, Array, Array]) -> tuple[Array, None]:
        z, loc, inverse_scale = one
        return total + ((z[:, None] - loc) * inverse_scale) ** 2, None

    dtype = jnp.result_type(z, normals.loc)
    zero = jnp.zeros((len(z), len(normals.loc)), dtype)
    return jax.lax.scan(add, zero, (z.T, normals.loc.T, precision.T))[0]


def _square_by_products(normals: Posterior, z: Latents) -> Array:
    precision = jnp.exp(-2 * normals.log_scale)
    return (
        z**2 @ precision.T
        - 2 * z @ (normals.loc * precision).T
        + jnp.sum(normals.loc**2 * precision, axis=1)
    )


@cached
def standard_normal() -> Prior:
    """Return the prior N(0, I), which has nothing to learn.

    Example:
        >>> standard_normal().name
        'standard normal'
    """
    return Prior(
        "standard normal",
        lambda key, model: (),
        lambda model, params: StandardNormal(jnp.zeros(model.latent)),
    )


@cached
def mixture(num_components: int = 10) -> Prior:
    """Return a mixture of normals with diagonal covariances, all of it learned.

    It begins with equal weights, centres at random and scales of one half, about as
    wide as N(0, I).

    Args:
        num_components: normals, 1 or more.

    Raises:
        ValueError: a number that is not whole and positive.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((4,), latent=3, prior=mixture(5))
        >>> params = models.init(model, jax.random.key(0))
        >>> params.prior["loc"].shape
        (5, 3)
        >>> models.prior_of(model, params).sample(jax.random.key(1), 7).shape
        (7, 3)
    """
    _check_number(num_components)

    def init(key: Key, model: Any) -> Params:
        loc = 0.75**0.5 * jax.random.normal(key, (num_components, model.latent))
        log_scale = jnp.full_like(loc, jnp.log(0.5))
        return {"logits": jnp.zeros(num_components), "loc": loc, "log_scale": log_scale}

    def distribution(model: Any, params: Any) -> MixturePrior:
        own = params.prior
        return MixturePrior(own["logits"], Posterior(own["loc"], own["log_scale"]))

    return Prior("mixture", init, distribution)


@cached
def vamp(num_components: int = 500) -> Prior:
    r"""Return the VampPrior, p(z) = (1/K) Σ_k q(z | u_k) over learned pseudo-inputs.

    It is a mixture of what the encoder makes of K inputs that are learned too: the
    best prior for an encoder is the mean of q(z | x) over all data, and the
    pseudo-inputs stand for these. Where pixels are in [0, 1], u_k is the sigmoid of
    what is learned. Begin at training images by `with_pseudo_inputs`, which is much
    better than at random.

    Args:
        num_components: K pseudo-inputs. In each step of training all of them go through
            the encoder.

    Raises:
        ValueError: a number that is not whole and positive.

    References:
        Tomczak & Welling (2018), arXiv:1705.07120.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((4,), latent=3, prior=vamp(5))
        >>> params = models.init(model, jax.random.key(0))
        >>> params.prior["inputs"].shape
        (5, 4)
        >>> models.prior_of(model, params).log_prob(jnp.zeros((2, 3))).shape
        (2,)
    """
    _check_number(num_components)

    def init(key: Key, model: Any) -> Params:
        noise = jax.random.normal(key, (num_components, *model.shape))
        return {"inputs": noise - 2.0 if _pixels_are_grey(model) else noise}

    def distribution(model: Any, params: Any) -> MixturePrior:
        code = model.encoder.apply(params.encoder, pseudo_inputs(model, params))
        components = model.posterior.distribution(params, code)
        return MixturePrior(jnp.zeros(num_components, code.dtype), components)

    return Prior("vamp", init, distribution)


def pseudo_inputs(model: Any, params: Any) -> Float[Array, "components ..."]:
    """Return the pseudo-inputs of a model with a VampPrior, in the units of the data.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((4,), latent=3, prior=vamp(5))
        >>> params = models.init(model, jax.random.key(0))
        >>> bool(pseudo_inputs(model, params).max() < 1)
        True
    """
    _check_vamp(model)
    learned = params.prior["inputs"]
    return jax.nn.sigmoid(learned) if _pixels_are_grey(model) else learned


def with_pseudo_inputs(model: Any, params: Any, images: ArrayLike) -> Any:
    """Return parameters whose pseudo-inputs are given images, to begin a training with.

    Args:
        model: with a VampPrior.
        params: its parameters.
        images: (num_components, *shape): some of the training data, grey levels where
            pixels are in [0, 1]. These are drawn in by 5 % from both ends, so that they
            can still move.

    Raises:
        ValueError: another prior, another number or shape of images, or images that the
            model's likelihood does not accept.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((2,), latent=1, prior=vamp(1))
        >>> params = models.init(model, jax.random.key(0))
        >>> params = with_pseudo_inputs(model, params, jnp.eye(2)[1:])
        >>> pseudo_inputs(model, params).round(3).tolist()
        [[0.05..., 0.95...]]
    """
    _check_vamp(model)
    images = jnp.asarray(images)
    expected = params.prior["inputs"].shape
    remedy = f"give {expected}, an image for each component"
    check(images.shape == expected, "images' shape", images.shape, remedy)
    valid = jax.jit(model.likelihood.accepts)(images)
    check(valid, "images", images, model.likelihood.remedy_images)
    if _pixels_are_grey(model):
        inside = 0.05 + 0.9 * images
        images = jnp.log(inside / (1 - inside))
    inputs = images.astype(params.prior["inputs"].dtype)
    return params._replace(prior={"inputs": inputs})


@cached
def flow(*, num_couplings: int = 4, hidden: int = 32) -> Prior:
    """Return a normalising flow, that of `vijax.vi.families.Flow`; begins as N(0, I).

    Args:
        num_couplings: affine couplings, 1 or more.
        hidden: units of each coupling's network.

    Raises:
        ValueError: a number below 1.

    References:
        Dinh, Sohl-Dickstein & Bengio (2017), arXiv:1605.08803.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((4,), latent=3, prior=flow())
        >>> params = models.init(model, jax.random.key(0))
        >>> models.prior_of(model, params).log_prob(jnp.zeros(3)).round(4).item()
        -2.756...
    """
    family = Flow(num_couplings=num_couplings, hidden=hidden)

    def init(key: Key, model: Any) -> CouplingFlow:
        zero = jnp.zeros(model.latent)
        return family.init(zero, jnp.ones_like(zero))

    return Prior("flow", init, lambda model, params: params.prior)


def _check_number(num_components: int) -> None:
    valid = is_whole(num_components) and num_components >= 1
    check(valid, "num_components", num_components, "give 1 or more")


def _check_vamp(model: Any) -> None:
    if model.prior is None or model.prior.name != "vamp":
        raise ValueError("the model has no VampPrior: give models.vae(…, prior=vamp())")


def _pixels_are_grey(model: Any) -> bool:
    """Say whether the likelihood refuses pixels above 1."""
    with jax.ensure_compile_time_eval():
        return not bool(model.likelihood.accepts(jnp.array(1.5)))
