r"""Conditional models: a VAE of x given covariates c, classes or continuous numbers.

    model = conditional_vae((64,), num_covariates=10)
    rows = with_covariates(images, jax.nn.one_hot(labels, 10))     (n, 64 + 10)
    trained = training.fit(model, key, rows, epochs=30)
    generation.draw_from_prior(key, model, trained.params, num_samples=8, given=c)

A row of data ends with its covariates: what takes a model, its parameters and data
takes these, and means p(x | c), q(z | x, c), p(z | c) and log p(x | c). Encoder and
decoder see c; the prior does with `conditional_normal`. Images are flattened.

References:
    Sohn, Lee & Yan (2015), Learning structured output representation using deep
    conditional generative models.
"""

from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.tree_util import Partial
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models import autoencoders, networks
from vijax.vae.models.autoencoders import VAE
from vijax.vae.models.likelihoods import Likelihood
from vijax.vae.models.memoize import cached
from vijax.vae.models.networks import Shape
from vijax.vae.models.posteriors import PosteriorFamily, from_moments
from vijax.vae.models.priors import NormalPrior, Prior
from vijax.validate import check, is_whole, seen


class ConditionalPrior(NamedTuple):
    """p(z | c), a function of c."""

    network: Partial  # c -> loc and log_scale

    def given(self, covariates: Float[Array, "... covariates"]) -> NormalPrior:
        """Return p(z | c) of these covariates."""
        return NormalPrior(from_moments(self.network(covariates)))


@cached
def conditional_vae(
    shape: Shape,
    *,
    num_covariates: int,
    latent: int = 2,
    hidden: tuple[int, ...] = (512, 256),
    activation: str = "gelu",
    likelihood: Likelihood | None = None,
    prior: Prior | None = None,
    posterior: PosteriorFamily | None = None,
    dtype: str | None = None,
) -> VAE:
    """Return a VAE of x given covariates, which end each row of its data.

    Args:
        shape: of one image or of one row of a table, without covariates.
        num_covariates: C numbers, such as a class as ten zeros and ones.
        latent: number of latent dimensions.
        hidden: as for `autoencoders.vae`.
        activation: as for `autoencoders.vae`.
        likelihood: as for `autoencoders.vae`.
        prior: `conditional_normal(C)`, or one that ignores c, from `priors`; N(0, I) by
            default.
        posterior: as for `autoencoders.vae`.
        dtype: as for `autoencoders.vae`.

    Returns:
        A VAE of rows (pixels + C,), which `with_covariates` makes.

    Raises:
        ValueError: as `autoencoders.vae`; no covariates; a VampPrior, whose
            pseudo-inputs would have covariates of their own.

    Example:
        >>> import jax
        >>> model = conditional_vae((2, 2), num_covariates=3, latent=1, hidden=())
        >>> model.shape
        (7,)
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> rows = with_covariates(jnp.zeros((5, 2, 2)), jnp.ones((5, 3)))
        >>> autoencoders.reconstruct(model, params, rows).shape
        (5, 4)
    """
    networks.check_shapes(shape=shape)
    autoencoders.check_latent(latent)
    valid = is_whole(num_covariates) and num_covariates >= 1
    check(valid, "num_covariates", num_covariates, "give 1 or more")
    likelihood, prior, posterior = autoencoders.parts_of(likelihood, prior, posterior)
    if prior.name == "vamp":
        raise ValueError(
            "a VampPrior is no prior of x given c: give conditional_normal"
        )
    pixels = prod(shape)
    common: dict[str, Any] = {"activation": activation, "dtype": dtype}
    row = (pixels + num_covariates,)
    code, outputs = posterior.code_shape(latent), (pixels, likelihood.num_outputs)
    return VAE(
        networks.mlp(row, code, hidden=hidden, **common),
        networks.mlp(
            (latent + num_covariates,), outputs, hidden=hidden[::-1], **common
        ),
        latent,
        row,
        given_covariates(likelihood, num_covariates=num_covariates),
        prior,
        posterior,
        num_covariates,
    )


@cached
def conditional_normal(
    num_covariates: int, *, hidden: tuple[int, ...] = (64,)
) -> Prior:
    """Return the prior p(z | c) = N(loc(c), diag(scale(c)²)), a network of c.

    Args:
        num_covariates: as the model's.
        hidden: widths of the network's hidden layers.

    Raises:
        ValueError: a size that is not whole and positive.

    Example:
        >>> conditional_normal(3).name
        'conditional normal'
    """
    valid = is_whole(num_covariates) and num_covariates >= 1
    check(valid, "num_covariates", num_covariates, "give 1 or more")

    def network(model: Any) -> networks.Network:
        return networks.mlp((num_covariates,), (2, model.latent), hidden=hidden)

    def init(key: Key, model: Any) -> Params:
        wanted = model.num_covariates
        remedy = f"the model has {wanted}"
        check(num_covariates == wanted, "num_covariates", num_covariates, remedy)
        return network(model).init(key)

    def distribution(model: Any, params: Any) -> ConditionalPrior:
        return ConditionalPrior(Partial(network(model).apply, params.prior))

    return Prior("conditional normal", init, distribution)


@cached
def given_covariates(likelihood: Likelihood, *, num_covariates: int) -> Likelihood:
    """Return the likelihood of rows whose last numbers are given, not data.

    Example:
        >>> from vijax.vae.models import likelihoods
        >>> rows = given_covariates(likelihoods.bernoulli(), num_covariates=1)
        >>> x = jnp.array([1.0, 0.0, 7.0])
        >>> rows.log_prob(x, jnp.zeros((2, 1))).round(3).tolist()
        [-0.693..., -0.693...]
    """

    def pixels(x: Array) -> Array:
        return x[..., :-num_covariates]

    def joined(of_pixels: Array, x: Array) -> Array:
        given = x[..., -num_covariates:]
        if of_pixels.dtype == bool:
            given = jnp.isfinite(given)
        return jnp.concatenate([of_pixels, given], axis=-1)

    return likelihood._replace(
        log_prob=lambda x, outputs: likelihood.log_prob(pixels(x), outputs),
        support=lambda x: joined(likelihood.support(pixels(x)), x),
        accepts=lambda x: joined(likelihood.accepts(pixels(x)), x),
        prepare=lambda key, x: joined(likelihood.prepare(key, pixels(x)), x),
        affine=None,
    )


def with_covariates(x: ArrayLike, covariates: ArrayLike) -> Float[Array, "n row"]:
    """Return rows of data for a conditional model: x flattened, then its covariates.

    Args:
        x: (n, *shape).
        covariates: (n, C), finite: classes as `jax.nn.one_hot(labels, C)`, continuous
            numbers best of about unit size.

    Raises:
        ValueError: not as many covariates as data, or not in rows; NaN or infinities.

    Example:
        >>> with_covariates(jnp.zeros((1, 2, 1)), jnp.array([[3.0]])).tolist()
        [[0.0, 0.0, 3.0]]
    """
    x, covariates = jnp.asarray(x), jnp.asarray(covariates)
    if covariates.ndim != 2 or covariates.shape[0] != len(x):
        raise ValueError(
            f"covariates have shape {covariates.shape}: give ({len(x)}, C), a row for "
            "each example"
        )
    check(jnp.isfinite(seen(covariates)), "covariates", covariates, "remove NaN")
    flat = x.reshape(len(x), -1)
    dtype = jnp.promote_types(flat.dtype, jnp.float32)
    return jnp.concatenate([flat.astype(dtype), covariates.astype(dtype)], axis=1)
