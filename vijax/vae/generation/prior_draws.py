"""New examples from a trained VAE: z from the prior, x from the likelihood."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax.batching import map_batches
from vijax.types import Key
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.vae.models.priors import StandardNormal
from vijax.validate import check, is_whole


class PriorDraws(NamedTuple):
    """Examples that a VAE generates, and what they were drawn from."""

    z: Float[Array, "draws latent"]  # z ~ p(z)
    mean: Images  # (draws, *shape), E[x | z]: what figures usually show
    x: Images  # (draws, *shape), x ~ p(x | z): what should look like data


def draw_from_prior(
    key: Key,
    model: VAE,
    params: ModelParams,
    *,
    num_samples: int,
    given: ArrayLike | None = None,
    batch_size: int = 1000,
) -> PriorDraws:
    """Draw z ~ p(z), N(0, I) or the model's learned prior, and x ~ p(x | z).

    Args:
        key: for the draws.
        model: the VAE.
        params: its parameters.
        num_samples: number of examples, 1 or more.
        given: covariates of a conditional model, (num_samples, C), or (C,) for all.
        batch_size: examples at once; memory only, the draws do not depend on it.

    Raises:
        ValueError: numbers that are not whole and positive, a model that is not a VAE,
            covariates that are missing, of another shape, or not finite.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(np.zeros_like, models.init(model, jax.random.key(0)))
        >>> draws = draw_from_prior(jax.random.key(0), model, params, num_samples=1000)
        >>> draws.mean[0].item(), 0.45 < draws.x.mean().item() < 0.55  # fair coins
        (0.5, True)
    """
    if not isinstance(model, VAE):
        raise ValueError(
            "model is not a VAE, so it has no prior: decode latents of your choice, "
            "as from evaluation.uniform_in_box"
        )
    valid = is_whole(num_samples) and num_samples >= 1
    check(valid, "num_samples", num_samples, "give 1 or more")
    given = _covariates(model, num_samples, given)
    draw = partial(_draw, model, params, key)
    return map_batches(draw, np.arange(num_samples), given, batch_size=batch_size)


def _covariates(
    model: VAE, num_samples: int, given: ArrayLike | None
) -> Float[np.ndarray, "draws covariates"]:
    """Return a row for each draw; rows of no numbers where the model takes none."""
    number = model.num_covariates
    if (given is None) != (number == 0):
        raise ValueError(
            f"given = {given} for a model of {number} covariates: give (num_samples, "
            f"{number})"
            if number
            else "the model takes no covariates: leave given out"
        )
    shape = (num_samples, number)
    rows = np.zeros(shape, np.float32) if given is None else np.asarray(given)
    remedy = f"give {shape}, or ({number},) for all, np.eye({number})[k] of class k"
    check(rows.shape in (shape, shape[1:]), "given's shape", rows.shape, remedy)
    check(np.isfinite(rows), "given", rows, "remove NaN and infinities")
    return np.broadcast_to(rows, shape).astype(np.float32)


@partial(jax.jit, static_argnums=0)
def _draw(
    model: VAE,
    params: ModelParams,
    key: Key,
    index: Int[Array, " batch"],
    given: Float[Array, "batch covariates"],
) -> PriorDraws:
    prior = model.prior.distribution(model, params)

    def one(index: Int[Array, ""], given: Float[Array, " covariates"]) -> PriorDraws:
        p = prior.given(given) if hasattr(prior, "given") else prior
        # A key for each example: the draws do not depend on the batches.
        z_key, x_key = jax.random.split(jax.random.fold_in(key, index))
        if isinstance(p, StandardNormal):
            z = jax.random.normal(z_key, (model.latent,))
        else:
            z = p.sample(z_key, 1)[0]
        outputs = autoencoders.decode(
            model, params, autoencoders.with_given(model, z, given)
        )
        likelihood = model.likelihood
        return PriorDraws(
            z, likelihood.mean(outputs), likelihood.sample(x_key, outputs)
        )

    return jax.vmap(one)(index, given)
