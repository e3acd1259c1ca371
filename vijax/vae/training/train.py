"""One training of a model.

    trained = fit(model, key, images, epochs=30)

The images stay on the device, an epoch is one compiled scan. `ensemble` trains many
models of one architecture at once, with the same runner.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from vijax.types import Key, LossFn
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.vae.training import baseline, optimizers, runner, sharding
from vijax.vae.training.callbacks import EarlyStopping, OnEpoch
from vijax.vae.training.optimizers import Optimizer
from vijax.vae.training.progress import Checkpoint
from vijax.vae.training.runner import Data, Plan
from vijax.vae.training.trained import Trained
from vijax.validate import check


def fit(
    model: Autoencoder | VAE,
    key: Key,
    images: ArrayLike,
    *,
    epochs: int,
    loss: LossFn | None = None,
    params: ModelParams | None = None,
    batch_size: int = 128,
    optimizer: Optimizer = "adam",
    kl_warm_up: int = 0,
    on_epoch: OnEpoch | tuple[OnEpoch, ...] = (),
    stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | Path | str | None = None,
    mesh: Mesh | None = None,
    description: str = "train",
) -> Trained:
    """Train a model on shuffled batches.

    Args:
        model: from `models.autoencoder` or `models.vae`.
        key: for the parameters' start, the shuffling and every draw.
        images: (n, *shape): grey levels in [0, 1], or what the likelihood accepts;
            rows of a table for a model of such a shape.
        epochs: passes over the images; the last, incomplete batch of each is left.
        loss: from `losses`; by default the mean squared error of an autoencoder, the
            negative ELBO of a VAE.
        params: to start from; by default drawn by `models.init`.
        batch_size: images in a step.
        optimizer: "adam", "muon", or one of `Adam(…)` and `Muon(…)`, whose learning
            rate falls along half a cosine; or an Optax transformation as it is (make
            it once: another one compiles anew).
        kl_warm_up: epochs over which the KL's weight rises linearly to its full value.
        on_epoch: called after each epoch with its number (from 1), the parameters and
            the mean terms; returns True to stop. A tuple of callbacks is called in
            order.
        stopping: ends the training when held-out data do not improve.
        checkpoint: folder, or `Checkpoint(folder, seconds=…)`, to save the run in, and
            to resume it from if it is there: the end is the uninterrupted run's, bit
            for bit. At a constant learning rate (`final_fraction` 1, or Optax's own) a
            finished run can go on to more epochs. Of several processes the first
            writes and reads it, for all.
        mesh: of devices, in one process or many, over whose first axis each batch is
            split; the result is that of one device but for rounding.
        description: shown at the progress bar.

    Returns:
        The parameters after the last epoch, the history and a verdict (`verdict`);
        print it for a summary.

    Raises:
        ValueError: a setting, the images or the parameters do not fit, no step of the
            first epoch was finite, no held-out value was a number, or the folder
            holds the checkpoint of another run (another loss, key, data or setting).
        OSError: a checkpoint cannot be written.

    Example:
        >>> from vijax.vae import models
        >>> model = models.autoencoder((3,), latent=1, hidden=(), output="identity")
        >>> x = np.ones((8, 3), np.float32)
        >>> trained = fit(model, jax.random.key(0), x, epochs=2, batch_size=4)
        >>> trained.loss.shape
        (2,)
        >>> print(trained)
        encoder  3×1, 4 parameters
        decoder  1×3, 6 parameters
        epochs   2
        loss     ... (first epoch ...)
          mse    ...
        steps    0 rejected: all finite
        verdict  still improving: give more epochs, twice as many to begin with
    """
    images = runner.check_images(model, images)
    loss = loss or runner.default_loss(model)
    plan = Plan(
        loss=loss,
        num_rows=len(images),
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        kl_warm_up=kl_warm_up,
        on_epoch=on_epoch,
        stopping=stopping,
        checkpoint=checkpoint,
        description=description,
        baseline=baseline.loss_without_latents(model, loss, images),
    )
    init_key, run_key = jax.random.split(key)
    if params is None:
        params = autoencoders.init(model, init_key)
    else:
        _check_params(model, params)
    state = optimizers.start(params, optimizer, num_steps=plan.num_steps)
    data = Data(images, jnp.arange(len(images)), jnp.ones((), images.dtype))
    if mesh is not None:
        mesh = sharding.automatic(mesh)
        num_parts = mesh.devices.shape[0]
        remedy = f"give a multiple of the mesh's first axis, {num_parts}"
        check(batch_size % num_parts == 0, "batch_size", batch_size, remedy)
        data, state = sharding.replicate(mesh, (data, state))
    return runner.run(plan, state, run_key, data, mesh)


def _check_params(model: Autoencoder | VAE, params: ModelParams) -> None:
    expected = jax.eval_shape(partial(autoencoders.init, model), jax.random.key(0))
    shapes = [
        {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in flat}
        for flat in map(jax.tree_util.tree_leaves_with_path, (params, expected))
    ]
    for name in sorted(shapes[0].keys() | shapes[1].keys()):
        given, wanted = (table.get(name, "absent") for table in shapes)
        if given != wanted:
            raise ValueError(
                f"params{name} is {given}, the model's is {wanted}: give parameters of "
                "this model, as models.init draws them"
            )
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = f"params{jax.tree_util.keystr(path)}"
        check(np.isfinite(leaf), name, leaf, "give finite numbers")
