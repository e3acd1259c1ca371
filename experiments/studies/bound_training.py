"""Training at the importance-weighted bound of k draws, in files of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vijax.vae import training
from vijax.vae.models import losses
from vijax.vae.models.autoencoders import VAE, ModelParams


@dataclass(frozen=True)
class Stage:
    """One stage of a training."""

    num_samples: int  # k, draws of z for each image
    gradient: str  # of the bound for k > 1: total or dreg
    epochs: int  # passes over the data
    batch_size: int  # images in a step
    optimizer: str  # its name: adam or muon
    learning_rate: float  # at the first step; falls along a cosine
    warm_up: int  # epochs over which the KL's weight rises
    runs: Path | None  # folder of checkpoints and histories, to be taken up from


def fit(
    stage: Stage, model: VAE, key: jax.Array, images: np.ndarray, params: ModelParams
) -> training.Trained:
    """Train with k draws, from these parameters on."""
    name = f"k{stage.num_samples}"
    folder = stage.runs
    return training.fit(
        model,
        jax.random.fold_in(key, stage.num_samples),  # each stage shuffles by its own
        images,
        epochs=stage.epochs,
        loss=loss_of(stage, model),
        params=params,
        batch_size=stage.batch_size,
        optimizer=training.named_optimizer(
            stage.optimizer, learning_rate=stage.learning_rate
        ),
        kl_warm_up=stage.warm_up,
        on_epoch=training.csv_log(folder / f"{name}.csv") if folder else (),
        checkpoint=training.Checkpoint(folder / name, 60.0) if folder else None,
        description=f"iwae, k = {stage.num_samples}",
    )


def loss_of(stage: Stage, model: VAE) -> Any:
    """Return the bound's loss: the closed-form KL for one draw."""
    if stage.num_samples == 1:
        return losses.negative_elbo(model)
    return losses.negative_iwae(
        model, num_samples=stage.num_samples, gradient=stage.gradient
    )


def stage_of(config: Any) -> Stage:
    """Return the last stage of an experiment, whose settings have the same names."""
    return Stage(**{name: getattr(config, name) for name in Stage.__annotations__})


def stage_before(config: Any) -> Stage:
    """Return the stage before it, with one draw and settings that end in `_before`."""
    return Stage(
        num_samples=1,
        gradient=config.gradient,
        epochs=config.epochs_before,
        batch_size=getattr(config, "batch_size_before", config.batch_size),
        optimizer=config.optimizer,
        learning_rate=config.learning_rate_before,
        warm_up=config.warm_up,
        runs=config.runs,
    )
