"""The models: an encoder and a decoder, with and without probabilities.

Constructors are memoised, as those of networks and likelihoods are: equal arguments
return the same object, hence no second compilation.
"""

from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models import likelihoods, networks, posteriors, priors
from vijax.vae.models.likelihoods import Likelihood
from vijax.vae.models.likelihoods.base import is_grey
from vijax.vae.models.memoize import cached
from vijax.vae.models.networks import Network, Shape
from vijax.vae.models.posteriors import Latents, PosteriorFamily
from vijax.vae.models.priors import Prior
from vijax.validate import check, is_traced, is_whole

Images = Float[Array, "..."]  # (…, *shape)


class Autoencoder(NamedTuple):
    """Z = encoder(x), x' = decoder(z): no probabilities."""

    encoder: Network  # (…, *shape) -> (…, latent)
    decoder: Network  # (…, latent) -> (…, *shape)
    latent: int
    shape: Shape
    output: str  # "sigmoid" keeps x' in [0, 1], "identity" does not


class VAE(NamedTuple):
    """p(x, z) = p(x | decoder(z)) p(z) and q(z | x), made of encoder(x).

    By default p(z) = N(0, I) and q(z | x) = N(loc(x), scale(x)²).

    References:
        Kingma & Welling (2014), arXiv:1312.6114.
    """

    encoder: Network  # (…, *shape) -> (…, 2, latent): loc and log_scale, by default
    decoder: Network  # (…, latent) -> (…, *shape, num_outputs)
    latent: int
    shape: Shape
    likelihood: Likelihood
    prior: Prior = priors.standard_normal()
    posterior: PosteriorFamily = posteriors.mean_field()
    num_covariates: int = 0  # that end each row of data: see `covariates`


class ModelParams(NamedTuple):
    """Parameters of either model; most have none beside their two networks'."""

    encoder: Params
    decoder: Params
    prior: Params = ()
    posterior: Params = ()


@cached
def autoencoder(
    shape: Shape,
    *,
    latent: int = 2,
    hidden: tuple[int, ...] = (512, 256),
    channels: tuple[int, ...] = (),
    activation: str = "gelu",
    output: str = "sigmoid",
    dtype: str | None = None,
) -> Autoencoder:
    """Return an autoencoder; its decoder mirrors the encoder.

    Args:
        shape: of one image or of one row of a table.
        latent: number of latent dimensions.
        hidden: widths of the encoder's hidden layers.
        channels: of convolutions before them, for images; each halves the image.
        activation: a name in `networks.ACTIVATIONS`.
        output: "sigmoid" for pixels in [0, 1], "identity" for any real numbers.
        dtype: of the matrix products, "bfloat16" for speed on accelerators.

    Raises:
        ValueError: a size is not whole and positive, a name is not known, channels
            for what is not an image.

    References:
        Hinton & Salakhutdinov (2006), Science 313.

    Example:
        >>> model = autoencoder((8, 8), latent=2, hidden=(16,))
        >>> num_params(init(model, jax.random.key(0)))  # 64-16-2-16-64, with biases
        2210
    """
    if output not in ("sigmoid", "identity"):
        raise ValueError(f"output = {output!r} is not known: sigmoid or identity")
    networks.check_shapes(shape=shape)
    check_latent(latent)
    encoder, decoder = mirrored_networks(
        shape, (latent,), (latent,), shape, hidden, channels, activation, dtype
    )
    return Autoencoder(encoder, decoder, latent, shape, output)


@cached
def vae(
    shape: Shape,
    *,
    latent: int = 2,
    hidden: tuple[int, ...] = (512, 256),
    channels: tuple[int, ...] = (),
    activation: str = "gelu",
    likelihood: Likelihood | None = None,
    prior: Prior | None = None,
    posterior: PosteriorFamily | None = None,
    dtype: str | None = None,
) -> VAE:
    """Return a VAE; its decoder mirrors the encoder.

    Args:
        shape: of one image or of one row of a table.
        latent: number of latent dimensions.
        hidden: as for `autoencoder`.
        channels: as for `autoencoder`.
        activation: as for `autoencoder`.
        likelihood: of a pixel, from `likelihoods`; Bernoulli by default.
        prior: p(z), from `priors`; N(0, I) by default.
        posterior: the family of q(z | x), from `posteriors`; a normal with a diagonal
            covariance by default.
        dtype: as for `autoencoder`.

    Raises:
        ValueError: as `autoencoder`, or `likelihood`, `prior` or `posterior` is none.

    Example:
        >>> model = vae((8, 8), latent=2, hidden=(16,))
        >>> num_params(init(model, jax.random.key(0)))  # two more outputs: log scales
        2244
    """
    networks.check_shapes(shape=shape)
    likelihood, prior, posterior = parts_of(likelihood, prior, posterior)
    outputs = (*shape, likelihood.num_outputs)
    check_latent(latent)
    code = posterior.code_shape(latent)
    encoder, decoder = mirrored_networks(
        shape, code, (latent,), outputs, hidden, channels, activation, dtype
    )
    return VAE(encoder, decoder, latent, shape, likelihood, prior, posterior)


def parts_of(
    likelihood: Likelihood | None,
    prior: Prior | None,
    posterior: PosteriorFamily | None,
) -> tuple[Likelihood, Prior, PosteriorFamily]:
    """Return a VAE's parts, the default where there is none given.

    Raises:
        ValueError: one is something else.
    """
    likelihood = likelihood or likelihoods.bernoulli()
    prior = prior or priors.standard_normal()
    posterior = posterior or posteriors.mean_field()
    for name, part, kind, example in (
        ("likelihood", likelihood, Likelihood, "likelihoods.bernoulli()"),
        ("prior", prior, Prior, "priors.mixture(10)"),
        ("posterior", posterior, PosteriorFamily, "posteriors.full_covariance()"),
    ):
        if not isinstance(part, kind):
            raise ValueError(f"{name} = {part!r} is none: give {example} or another")
    return likelihood, prior, posterior


def check_latent(latent: int) -> None:
    """Raise a ValueError unless the number of latents is whole and positive."""
    remedy = "give 1 dimension or more"
    check(is_whole(latent) and latent >= 1, "latent", latent, remedy)


def mirrored_networks(
    shape: Shape,
    code: Shape,
    latent: Shape,
    outputs: Shape,
    hidden: tuple[int, ...],
    channels: tuple[int, ...],
    activation: str,
    dtype: str | None,
) -> tuple[Network, Network]:
    """Return an encoder shape -> code and a decoder latent -> outputs, mirrored."""
    common: dict[str, Any] = {"activation": activation, "dtype": dtype}
    if not channels:
        return (
            networks.mlp(shape, code, hidden=hidden, **common),
            networks.mlp(latent, outputs, hidden=hidden[::-1], **common),
        )
    networks.check_image(shape)
    return (
        networks.conv_encoder(shape, code, channels=channels, hidden=hidden, **common),
        networks.conv_decoder(
            latent, outputs, channels=channels[::-1], hidden=hidden[::-1], **common
        ),
    )


def init(model: Autoencoder | VAE, key: Key) -> ModelParams:
    """Draw the parameters of a model: lecun_normal weights, biases of zero.

    Example:
        >>> params = init(vae((3,), hidden=()), jax.random.key(0))
        >>> params.decoder["output"]["kernel"].shape  # latent × pixels
        (2, 3)
    """
    return _init(model, key)


# One compilation instead of one for each of the initialisers' operations.
@partial(jax.jit, static_argnums=0)
def _init(model: Autoencoder | VAE, key: Key) -> ModelParams:
    keys = jax.random.split(key)
    params = ModelParams(model.encoder.init(keys[0]), model.decoder.init(keys[1]))
    if isinstance(model, Autoencoder):
        return params
    prior_key, posterior_key = jax.random.split(jax.random.fold_in(key, 2))
    return params._replace(
        prior=model.prior.init(prior_key, model),
        posterior=model.posterior.init(posterior_key, model.latent),
    )


def init_at_mean(model: VAE, key: Key, images: ArrayLike) -> ModelParams:
    """Draw parameters of a VAE of Bernoulli pixels whose decoder starts at the mean.

    Args:
        model: with a decoder that is a multilayer perceptron.
        key: for the parameters.
        images: (n, *shape), grey levels in [0, 1]; their mean gives the last biases.

    Raises:
        ValueError: other pixels, images of another shape, a convolutional decoder.

    References:
        Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519.

    Example:
        >>> model = vae((2,), latent=1, hidden=())
        >>> params = init_at_mean(model, jax.random.key(0), jnp.array([[0.5, 0.9]]))
        >>> decoded_mean(model, params, jnp.zeros((1, 1))).round(3).tolist()
        [[0.5, 0.9...]]
    """
    if not isinstance(model, VAE) or model.likelihood.name != "bernoulli":
        raise ValueError("model is not a VAE of Bernoulli pixels: draw with init")
    images = jnp.asarray(images)
    if images.shape[1:] != model.shape or not len(images):
        expected = ", ".join(["n", *map(str, model.shape)])
        raise ValueError(f"images have shape {images.shape}: give ({expected}), n >= 1")
    likelihoods.check_images(model.likelihood, images)
    params = init(model, key)
    mean = jnp.clip(images.mean(axis=0), 1e-3, 1 - 1e-3).ravel()
    bias = params.decoder.get("output", {}).get("bias")
    if bias is None or bias.shape != mean.shape:
        raise ValueError("the decoder has no bias for each pixel: draw with init")
    output = params.decoder["output"] | {"bias": jnp.log(mean / (1 - mean))}
    return params._replace(decoder=params.decoder | {"output": output})


def num_params(params: Params) -> int:
    """Count the numbers in a pytree of parameters.

    Example:
        >>> num_params({"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)})
        8
    """
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(params))


def encode(model: VAE, params: ModelParams, x: ArrayLike) -> Any:
    """Return q(z | x) for a batch of data (…, *shape).

    By default it is a `Posterior`, loc and log_scale of (…, latent). `posteriors` says
    what all have.

    Example:
        >>> model = vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.ones_like, init(model, jax.random.key(0)))
        >>> encode(model, params, jnp.array([[2.0]])).loc.item()  # weight x + bias
        3.0
    """
    return model.posterior.distribution(params, code_of(model, params, x))


def code_of(model: VAE, params: ModelParams, x: ArrayLike) -> Array:
    """Return the encoder's output for a batch of data, of which q(z | x) is made.

    Example:
        >>> model = vae((1,), latent=2, hidden=())
        >>> params = init(model, jax.random.key(0))
        >>> code_of(model, params, jnp.zeros((5, 1))).shape  # loc and log scale
        (5, 2, 2)
    """
    return model.encoder.apply(params.encoder, _levels(model, x))


def prior_of(model: VAE, params: ModelParams, x: ArrayLike | None = None) -> Any:
    """Return p(z): an object with `log_prob(z)` and `sample(key, num_samples)`.

    Args:
        model: the VAE.
        params: its parameters.
        x: data (…, *shape), whose covariates a conditional prior needs.

    Raises:
        ValueError: the prior is conditional, and there are no data.

    Example:
        >>> model = vae((1,), latent=2, hidden=())
        >>> params = init(model, jax.random.key(0))
        >>> prior_of(model, params).log_prob(jnp.zeros((3, 2))).shape
        (3,)
    """
    p = model.prior.distribution(model, params)
    if not hasattr(p, "given"):
        return p
    if x is None:
        raise ValueError("the prior depends on covariates: give x, or p.given(c)")
    return p.given(covariates_of(model, x))


def covariates_of(model: VAE, x: ArrayLike) -> Float[Array, "... covariates"]:
    """Return the covariates at the end of each row of data; (…, 0) where none are.

    Example:
        >>> model = vae((3,), hidden=())._replace(num_covariates=1)
        >>> covariates_of(model, jnp.array([[1.0, 2.0, 3.0]])).tolist()
        [[3.0]]
    """
    x = jnp.asarray(x)
    return x[..., x.shape[-1] - model.num_covariates :]


def data_of(model: Autoencoder | VAE, x: ArrayLike) -> Images:
    """Return the data without the covariates of a conditional model.

    Example:
        >>> model = vae((3,), hidden=())._replace(num_covariates=1)
        >>> data_of(model, jnp.array([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 2.0]]
    """
    x = jnp.asarray(x)
    if isinstance(model, VAE) and model.num_covariates:
        return x[..., : -model.num_covariates]
    return x


def with_given(model: VAE, z: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
    """Return what the decoder takes: z, and the covariates of x beside it.

    Example:
        >>> model = vae((3,), hidden=())._replace(num_covariates=1)
        >>> with_given(model, jnp.zeros((2, 2)), jnp.array([1.0, 2.0, 3.0])).tolist()
        [[0.0, 0.0, 3.0], [0.0, 0.0, 3.0]]
    """
    z = jnp.asarray(z)
    if not model.num_covariates:
        return z
    given = covariates_of(model, x)
    batch = jnp.broadcast_shapes(z.shape[:-1], given.shape[:-1])
    parts = (jnp.broadcast_to(a, (*batch, a.shape[-1])) for a in (z, given))
    return jnp.concatenate(list(parts), axis=-1)


def is_plain(model: VAE) -> bool:
    """Say whether p(z) = N(0, I) and q is the default: latents are independent.

    Example:
        >>> is_plain(vae((1,))), is_plain(vae((1,), prior=priors.mixture(2)))
        (True, False)
    """
    names = model.prior.name, model.posterior.name
    return names == ("standard normal", "mean field")


def decode(model: VAE, params: ModelParams, z: ArrayLike) -> Float[Array, "..."]:
    """Return the likelihood's parameters, (…, *shape, num_outputs).

    A conditional model's z is followed by its covariates, `with_given`.

    Example:
        >>> model = vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.ones_like, init(model, jax.random.key(0)))
        >>> decode(model, params, jnp.array([[2.0]])).tolist()  # weight z + bias
        [[[3.0]]]
    """
    return model.decoder.apply(params.decoder, jnp.asarray(z))


def latent_mean(model: Autoencoder | VAE, params: ModelParams, x: ArrayLike) -> Latents:
    """Map data to the latent space: z of an autoencoder, the mean of q(z | x).

    Example:
        >>> model = autoencoder((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.ones_like, init(model, jax.random.key(0)))
        >>> latent_mean(model, params, jnp.array([[2.0]])).item()
        3.0
    """
    if isinstance(model, VAE):
        return encode(model, params, x).loc
    return model.encoder.apply(params.encoder, _levels(model, x))


def _levels(model: Autoencoder | VAE, x: ArrayLike) -> Array:
    """Return the data as an array; refuse bytes where pixels are in [0, 1].

    Raises:
        ValueError: levels above 1, of a type that can hold only whole numbers.
    """
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.integer) and not is_traced(x):
        if isinstance(model, VAE):
            accepts = model.likelihood.accepts
        else:
            accepts = is_grey if model.output == "sigmoid" else jnp.isfinite
        if not bool(jnp.all(accepts(x))):
            remedy = "the model's pixels are in [0, 1]: divide by the highest level"
            check(accepts(x), "x", x, remedy)
    return x


def decoded_mean(model: Autoencoder | VAE, params: ModelParams, z: ArrayLike) -> Images:
    """Map latents to images: x' of an autoencoder, E[x | z] of a VAE.

    Example:
        >>> model = vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, init(model, jax.random.key(0)))
        >>> decoded_mean(model, params, jnp.array([[2.0]])).item()  # sigmoid(0)
        0.5
    """
    y = model.decoder.apply(params.decoder, jnp.asarray(z))
    if isinstance(model, VAE):
        return model.likelihood.mean(y)
    return jax.nn.sigmoid(y) if model.output == "sigmoid" else y


def reconstruct(model: Autoencoder | VAE, params: ModelParams, x: ArrayLike) -> Images:
    """Return decoded_mean(latent_mean(x)), (…, *shape) as x.

    Example:
        >>> model = autoencoder((1,), latent=1, hidden=(), output="identity")
        >>> params = jax.tree.map(jnp.ones_like, init(model, jax.random.key(0)))
        >>> reconstruct(model, params, jnp.array([[2.0]])).item()  # (2 + 1) + 1
        4.0
    """
    z = latent_mean(model, params, x)
    if isinstance(model, VAE):
        z = with_given(model, z, x)
    return decoded_mean(model, params, z)
