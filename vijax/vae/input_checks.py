"""Checks of a user's examples, before evaluation or one of the three uses computes."""

import jax.numpy as jnp
from jax.typing import ArrayLike

from vijax.vae.models import likelihoods
from vijax.vae.models.autoencoders import VAE, Autoencoder, Images
from vijax.validate import check, is_traced, is_whole, seen, where_valid


def check_shape(
    model: Autoencoder | VAE, x: ArrayLike, *, name: str = "x", least: int = 1
) -> Images:
    """Return the examples as an array of (n, *shape).

    Args:
        model: whose shape the examples must have.
        x: the examples.
        name: of the argument, for the message.
        least: the fewest examples.

    Raises:
        ValueError: another shape, too few examples.
    """
    x = jnp.asarray(x)
    if x.shape[1:] != model.shape or len(x) < least:
        expected = ", ".join(["n", *map(str, model.shape)])
        raise ValueError(f"{name} has shape {x.shape}: give ({expected}), n >= {least}")
    return x


def check_finite(
    model: Autoencoder | VAE, x: ArrayLike, *, name: str = "x", least: int = 1
) -> Images:
    """Return the examples, finite numbers that the model could be trained on.

    Raises:
        ValueError: another shape, too few examples, NaN or infinities, levels above 1
            for a model of pixels in [0, 1].
    """
    x = check_shape(model, x, name=name, least=least)
    finite = abs(seen(x)) < jnp.inf
    check(finite, name, x, "remove NaN and infinities")
    if isinstance(model, Autoencoder) and model.output == "sigmoid":
        inside = (seen(x) >= 0) & (seen(x) <= 1)
        check(
            inside, name, x, "the model's pixels are in [0, 1]: divide by the highest"
        )
    if isinstance(model, VAE) and not is_traced(x):
        accepts = model.likelihood.accepts(x)
        check(accepts, name, x, f"the model takes {model.likelihood.remedy_images}")
    return x


def check_in_support(model: VAE, x: ArrayLike, *, least: int = 2) -> Images:
    """Return the examples, which must be in the support of the model's likelihood.

    Inside a trace, where nothing can be raised, a bad pixel becomes NaN.

    Raises:
        ValueError: another shape, too few examples, pixels outside the support, a
            model that is not a VAE.
    """
    if not isinstance(model, VAE):
        raise ValueError(
            "model is not a VAE, so it has no likelihood: give a VAE; an autoencoder's "
            "score is reconstruction_error"
        )
    x = check_shape(model, x, least=least)
    likelihoods.check_support(model.likelihood, x)
    return where_valid(model.likelihood.support(x), x) if is_traced(x) else x


def check_batch_size(batch_size: int) -> None:
    """Raise a ValueError unless the batch size is a whole number of 1 or more."""
    valid = is_whole(batch_size) and batch_size >= 1
    check(valid, "batch_size", batch_size, "give 1 or more")
