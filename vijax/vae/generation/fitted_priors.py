r"""A prior fitted to the codes of a trained VAE, for better samples of the same model.

The codes of all data, q(z) = mean over x of q(z | x), leave parts of N(0, I) empty, and
what is decoded from there looks like nothing. A prior that follows q(z) instead is
fitted here with encoder and decoder as they are: it maximises E_q(z)[log p(z)], and
with it the ELBO, since

    ELBO = E[log p(x | z)] - mutual information - KL[q(z) ‖ p(z)].

The result is a model with this prior, for which all holds that holds of any: samples by
`draw_from_prior`, log p(x), scores, codes, a file.

References:
    Ghosh et al. (2020), arXiv:1903.12436 (density estimation after the training);
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1) (the mixtures' algorithm).
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax import optimize
from vijax.types import Key, Scalar
from vijax.vae.evaluation import latent_usage
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import bound_terms, priors
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vae.models.posteriors import Posterior
from vijax.vae.models.priors import MixturePrior, Prior
from vijax.vae.training import optimizers
from vijax.validate import check, is_whole, seen

LEAST_SCALE = 1e-3  # of a component, in standard deviations of the codes
LEARNING_RATE = 5e-3  # of Adam at the first step, where there is no closed form


class ModelWithPrior(NamedTuple):
    """A model with another prior, and its parameters."""

    model: VAE
    params: ModelParams


def fit_prior(
    key: Key,
    model: VAE,
    params: ModelParams,
    x: ArrayLike,
    *,
    prior: Prior | None = None,
    num_steps: int | None = None,
    batch_size: int = 500,
) -> ModelWithPrior:
    """Return the model with a prior that is fitted to the codes of data.

    Args:
        key: for the codes, draws of q(z | x), and the fit.
        model: the trained VAE; its own prior is replaced.
        params: its parameters.
        x: (n, *shape) in the likelihood's support: training data.
        prior: `priors.mixture(10)` by default, fitted by expectation maximisation to
            one draw for each x; any other, such as `priors.flow()`, is fitted by Adam,
            to new draws in each step. Look at `evaluation.held_out_elbo` on other data:
            many components for few codes follow these, not the data.
        num_steps: iterations over all codes for a mixture, by default 200; steps of
            Adam for another prior, by default 2000.
        batch_size: codes in a step of Adam, and images that are encoded at once.

    Returns:
        The new model and its parameters; encoder and decoder are the given ones.

    Raises:
        ValueError: data of another shape or outside the support, fewer than two, a
            prior that is none or depends on covariates, more components than data, a
            setting that is not whole and positive.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[0.0], [1.0]] * 50)  # codes of mean 1 and 2, scale e
        >>> prior = priors.mixture(1)
        >>> fitted = fit_prior(jax.random.key(0), model, params, x, prior=prior)
        >>> bool(abs(fitted.params.prior["loc"].item() - 1.5) < 1.0)
        True
    """
    prior = priors.mixture(10) if prior is None else prior
    if not isinstance(prior, Prior):
        raise ValueError(f"prior = {prior!r} is none: give priors.mixture(10), …")
    of_mixture = prior.recipe is not None and prior.recipe.constructor == "mixture"
    if num_steps is None:
        num_steps = 200 if of_mixture else 2000
    for name, value in (("num_steps", num_steps), ("batch_size", batch_size)):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")
    x = check_in_support(model, x)
    draw_key, fit_key = jax.random.split(key)
    q = latent_usage.posteriors(model, params, x, batch_size=batch_size)
    model = model._replace(prior=prior)
    if of_mixture and prior.recipe is not None:
        z = _draw(draw_key, q)
        number = dict(prior.recipe.arguments)["num_components"]
        found = fit_mixture(fit_key, z, num_components=number, num_steps=num_steps)
        loc, log_scale = found.components
        own: Any = {"logits": found.logits, "loc": loc, "log_scale": log_scale}
        return ModelWithPrior(model, params._replace(prior=own))
    size = min(batch_size, len(x))
    return ModelWithPrior(model, _by_adam(model, params, fit_key, q, num_steps, size))


@jax.jit
def _draw(key: Key, q: Any) -> Array:
    return bound_terms.draw(key, q, num_samples=1)[0]


def _by_adam(
    model: VAE,
    params: ModelParams,
    key: Key,
    q: Any,
    num_steps: int,
    batch_size: int,
) -> ModelParams:
    init_key, run_key = jax.random.split(key)
    start = model.prior.init(init_key, model)
    p = model.prior.distribution(model, params._replace(prior=start))
    if hasattr(p, "given"):
        raise ValueError(
            "prior depends on covariates, and the codes' mean does not: train the "
            "model with it, models.conditional_vae(…, prior=…)"
        )
    chunk_size = min(num_steps, 100)
    optimizer = optimizers.Adam(learning_rate=LEARNING_RATE)
    state, _ = optimize.minimize(
        _loss(model),
        optimizers.start(start, optimizer, num_steps=num_steps),
        run_key,
        Codes(params, q),
        optimizer=optimizers.transformation(optimizer),
        num_chunks=-(-num_steps // chunk_size),
        chunk_size=chunk_size,
        make_batches=_rows(chunk_size, batch_size),
        select=_select,
        description="fit a prior",
    )
    return params._replace(prior=state.params)


class Codes(NamedTuple):
    """What a prior is fitted to by Adam."""

    params: ModelParams  # of the trained model: a VampPrior needs its encoder
    q: Any  # q(z | x) of all data


# Remembered, for jit knows functions by identity: a second fit compiles nothing.
@lru_cache
def _loss(model: VAE) -> optimize.LossFn:
    # New draws in each step: a prior that learns old ones by heart gains nothing.
    def loss(own: Any, key: Key, codes: Codes) -> tuple[Scalar, Any]:
        z = bound_terms.draw(key, codes.q, num_samples=1)[0]
        p = model.prior.distribution(model, codes.params._replace(prior=own))
        mean = -jnp.mean(p.log_prob(z))
        return mean, {"loss": mean}

    return loss


@lru_cache
def _rows(num_batches: int, batch_size: int) -> optimize.MakeBatches:
    def make_batches(key: Key, codes: Codes) -> Int[Array, "batches batch"]:
        shape = num_batches, batch_size
        return jax.random.randint(key, shape, 0, len(codes.q.loc))

    return make_batches


def _select(codes: Codes, rows: Int[Array, " batch"]) -> Codes:
    return codes._replace(q=codes.q.take(rows))


def fit_mixture(
    key: Key,
    z: Float[ArrayLike, "n latent"],
    *,
    num_components: int = 10,
    num_steps: int = 200,
) -> MixturePrior:
    """Fit a mixture of diagonal normals to latents by expectation maximisation.

    It begins with centres at random latents and the scales of all. The codes of an
    autoencoder, `evaluation.latent_means`, can be given too: draw from the result and
    decode.

    Args:
        key: for the first centres.
        z: (n, latent), finite, n >= 2.
        num_components: normals, 1 to n.
        num_steps: iterations over all latents.

    Returns:
        The mixture, with `log_prob(z)` and `sample(key, num_samples)`.

    Raises:
        ValueError: latents of another shape, NaN or infinities, a number out of its
            range.

    Example:
        >>> z = jnp.concatenate([jnp.linspace(-1, 1, 50), jnp.linspace(9, 11, 50)])
        >>> found = fit_mixture(jax.random.key(1), z[:, None], num_components=2)
        >>> sorted(found.components.loc.ravel().round(3).tolist())
        [0.0, 10.0]
    """
    z = jnp.asarray(z)
    if z.ndim != 2 or len(z) < 2:
        raise ValueError(f"z has shape {z.shape}: give (n, latent), n >= 2")
    check(abs(seen(z)) < jnp.inf, "z", z, "remove NaN and infinities")
    valid = is_whole(num_components) and 1 <= num_components <= len(z)
    remedy = f"give 1 to the number of latents, {len(z)}"
    check(valid, "num_components", num_components, remedy)
    valid = is_whole(num_steps) and num_steps >= 1
    check(valid, "num_steps", num_steps, "give 1 or more")
    return _fit_mixture(num_components, num_steps, key, z)


@partial(jax.jit, static_argnums=(0, 1))
def _fit_mixture(
    num_components: int, num_steps: int, key: Key, z: Float[Array, "n latent"]
) -> MixturePrior:
    # In units of all latents, where squares lose no digits.
    shift, unit = jnp.mean(z, axis=0), jnp.std(z, axis=0)
    unit = jnp.where(unit > 0, unit, 1)
    y = (z - shift) / unit
    rows = jax.random.choice(key, len(z), (num_components,), replace=False)
    ones = jnp.ones((num_components, z.shape[1]), z.dtype)
    parts = Posterior(y[rows], 0 * ones)
    start = MixturePrior(jnp.zeros(num_components, z.dtype), parts)

    def improve(p: MixturePrior, _: None) -> tuple[MixturePrior, None]:
        share = jax.nn.softmax(p.log_joint(y), axis=-1)  # of each component in each z
        weight = jnp.sum(share, axis=0) + jnp.finfo(y.dtype).tiny
        loc = share.T @ y / weight[:, None]
        square = share.T @ y**2 / weight[:, None] - loc**2
        log_scale = 0.5 * jnp.log(jnp.maximum(square, LEAST_SCALE**2))
        return MixturePrior(jnp.log(weight / len(y)), Posterior(loc, log_scale)), None

    found, _ = jax.lax.scan(improve, start, length=num_steps)
    loc, log_scale = found.components
    parts = Posterior(loc * unit + shift, log_scale + jnp.log(unit))
    return MixturePrior(found.logits, parts)
