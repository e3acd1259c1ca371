"""A model and its parameters in one file, made again where it is opened.

    vae.save("digits.npz", model, trained.params, extra={"highest_level": 16})
    model, params, extra = vae.load("digits.npz")

The file names the constructors of networks and likelihood with their arguments, and
holds the parameters as plain arrays (`vijax.archive`). Nothing is pickled.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from vijax import archive
from vijax.vae.event_tables import ColumnScale
from vijax.vae.models import (
    autoencoders,
    autoregressive,
    covariates,
    layers,
    likelihoods,
    networks,
    posteriors,
    priors,
    residual_ladders,
)
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.vae.training import ensemble
from vijax.validate import check
from vijax.vi.families.flow import Coupling, CouplingFlow

MODEL_PARTS = (
    networks.mlp,
    networks.conv_encoder,
    networks.conv_decoder,
    ensemble.masked_encoder,
    ensemble.masked_decoder,
    likelihoods.bernoulli,
    likelihoods.gaussian,
    likelihoods.continuous_bernoulli,
    likelihoods.discretised_logistic,
    likelihoods.beta_binomial,
    priors.standard_normal,
    priors.mixture,
    priors.vamp,
    priors.flow,
    posteriors.mean_field,
    posteriors.full_covariance,
    autoregressive.inverse_autoregressive,
    layers.layered_prior,
    layers.layered_posterior,
    layers.ladder_posterior,
    layers.first_latents,
    residual_ladders.ladder_encoder,
    residual_ladders.ladder_decoder,
    residual_ladders.descending_posterior,
    residual_ladders.Ladder,
    covariates.conditional_normal,
    covariates.given_covariates,
    CouplingFlow,
    Coupling,
    Autoencoder,
    VAE,
    ModelParams,
    ColumnScale,
)
TYPES = {part.__name__: part for part in MODEL_PARTS}
KIND = "model of vijax.vae"


class Stored(NamedTuple):
    """What a file of a model holds."""

    model: Autoencoder | VAE
    params: ModelParams  # one model's, or with a leading axis of runs
    extra: Any  # as it was given to `save`


def save(
    path: Path | str,
    model: Autoencoder | VAE,
    params: ModelParams,
    *,
    extra: Any = None,
) -> Path:
    """Write a model, its parameters and what belongs to them to one file.

    Args:
        path: of the file, "mine.npz"; one that is there is replaced.
        model: from `models.vae`, `models.autoencoder`, or `training.masked` of one.
        params: its parameters; an ensemble's have a leading axis of runs.
        extra: preprocessing or notes: numbers, text, arrays, an
            `event_tables.ColumnScale`, in dicts with text keys, lists and tuples.

    Returns:
        The file's path.

    Raises:
        ValueError: the path is a folder; a network or a likelihood of your own; the
            parameters are not the model's; `extra` holds something else.
        OSError: the file cannot be written; what was there before is intact.

    Example:
        >>> import tempfile
        >>> from vijax.vae import models
        >>> model = models.vae((3,), latent=1, hidden=())
        >>> params = models.init(model, jax.random.key(0))
        >>> path = save(Path(tempfile.mkdtemp()) / "mine.npz", model, params)
        >>> load(path).model == model
        True
    """
    if not isinstance(model, Autoencoder | VAE):
        raise ValueError(
            f"model is not valid: it is of type {type(model).__name__}; give "
            "vae.save(path, model, params), the path first and then a model of "
            "models.vae(…) or models.autoencoder(…)"
        )
    for name in ("encoder", "decoder", "likelihood", "prior", "posterior"):
        part = getattr(model, name, None)
        recipe = getattr(part, "recipe", None)
        if part is not None and (recipe is None or recipe.constructor not in TYPES):
            raise ValueError(
                f"the model's {name} is not made by vijax.vae.models, so another "
                "process could not make it again: keep the parameters by "
                "vijax.archive.write, and make the model by your own code"
            )
    _check_params(model, params)
    tree = {"model": model, "params": params, "extra": extra}
    return archive.write(path, tree, kind=KIND, types=TYPES)


def load(path: Path | str) -> Stored:
    """Return what `save` wrote, in any process.

    Networks are made anew by their constructors, so `load(path).model` equals the model
    saved where that is in memory, and nothing is compiled twice.

    Args:
        path: of the file.

    Returns:
        `Stored`: the model, its parameters as JAX arrays, and `extra`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, foreign, or not a model's.
    """
    tree = archive.read(path, kind=KIND, types=TYPES)
    # By NumPy: float64 of another process becomes what JAX's setting here is.
    params = jax.tree.map(lambda x: jax.numpy.asarray(np.asarray(x)), tree["params"])
    return Stored(tree["model"], params, tree["extra"])


def _check_params(model: Autoencoder | VAE, params: ModelParams) -> None:
    """Raise a ValueError unless the shapes are the model's, or those of its runs."""
    expected = jax.eval_shape(partial(autoencoders.init, model), jax.random.key(0))
    given_tree, wanted_tree = map(str, map(jax.tree.structure, (params, expected)))
    remedy = "give parameters of this model, as models.init or a training returns them"
    check(given_tree == wanted_tree, "params' structure", given_tree, remedy)
    runs = {
        np.shape(given)[: np.ndim(given) - len(wanted.shape)]
        if np.shape(given)[np.ndim(given) - len(wanted.shape) :] == wanted.shape
        else None
        for given, wanted in zip(
            jax.tree.leaves(params), jax.tree.leaves(expected), strict=True
        )
    }
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    check(len(runs) == 1 and None not in runs, "params' shapes", str(shapes), remedy)
