"""Autoencoders and variational autoencoders.

    model = vae.models.vae((28, 28), latent=2)                    what is learned
    trained = vae.training.fit(model, key, images, epochs=30)     how
    vae.evaluation.held_out_elbo(model, trained.params, key, x)   how well, in nats

From the images of a file of your own, `images = data.load("mine.npz").train`, to log
p(x) of held-out ones, saved on the way so that a run which is killed goes on:

    trained = vae.training.fit(
        model, key, images, epochs=30,
        checkpoint="results/mine", on_epoch=vae.training.csv_log("results/mine.csv"))
    x = vae.models.likelihoods.binarize(key, held_out)    Bernoulli pixels are 0 or 1

Tables are the same with `likelihoods.gaussian(None)`, as `models.vae((10,), …)`. The
rooms `models`, `training`, `evaluation`, and the three uses `anomaly`, `compression`
and `generation` load when they are first asked for, as do `save` and `load`, a model
and its parameters in one file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that editors and type checkers see what is loaded on demand
    from vijax.vae import (
        anomaly,
        compression,
        evaluation,
        event_tables,
        generation,
        models,
        training,
    )
    from vijax.vae.store import load, save

__all__ = [
    "anomaly",
    "compression",
    "evaluation",
    "event_tables",
    "generation",
    "load",
    "models",
    "save",
    "training",
]


def __getattr__(name: str) -> Any:
    """Import a room when it is first named."""
    if name in ("load", "save"):
        return getattr(import_module(f"{__name__}.store"), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what a user wants."""
    return sorted(__all__)
