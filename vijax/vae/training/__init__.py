"""How a model is trained: the data stay on the device, an epoch is one compiled scan.

    trained = training.fit(model, key, images, epochs=30)
    trained = training.fit_ensemble(model, key, images, rows, epochs=30)

`fit` trains one model and `fit_ensemble` many at once, with the same runner and the
same options: `Adam`, `Muon` or an Optax transformation; `EarlyStopping` on held-out
data; a `Checkpoint` folder, from which a run goes on bit for bit; callbacks after each
epoch, such as `csv_log`. Both return a `Trained`, which prints as a summary. For
ensembles, `masked` models differ in their number of latents (`masks`), `rows_without`
leaves one class out of each run, `num_epochs` turns steps into epochs, and `take_run`
returns one run's parameters.
"""

from vijax.vae.training.callbacks import Best, EarlyStopping, csv_log
from vijax.vae.training.ensemble import (
    fit_ensemble,
    masked,
    masks,
    num_epochs,
    rows_without,
    take_run,
)
from vijax.vae.training.optimizers import Adam, Muon, named_optimizer
from vijax.vae.training.progress import Checkpoint
from vijax.vae.training.train import fit
from vijax.vae.training.trained import Trained

__all__ = [
    "Adam",
    "Best",
    "Checkpoint",
    "EarlyStopping",
    "Muon",
    "Trained",
    "csv_log",
    "fit",
    "fit_ensemble",
    "masked",
    "masks",
    "named_optimizer",
    "num_epochs",
    "rows_without",
    "take_run",
]


def __dir__() -> list[str]:
    """List what a user wants."""
    return sorted(__all__)
