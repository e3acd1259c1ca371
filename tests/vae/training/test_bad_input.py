"""What training refuses, by name and with what to give instead."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from tests.vae.refusals import refuses
from vijax.vae import training
from vijax.vae.models import autoencoders, losses

KEY = jax.random.key(0)
MODEL = autoencoders.vae((4, 4), hidden=(8,))
OTHER = autoencoders.vae((4, 4), hidden=(9,))
PARAMS = autoencoders.init(MODEL, KEY)
NAN_PARAMS = jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan), PARAMS)
IMAGES = np.ones((20, 4, 4), np.float32)
ROWS = np.arange(20).reshape(2, 10)


def fit(images: Any = IMAGES, *, model: Any = MODEL, **settings: Any) -> Any:
    settings = {"epochs": 1, "batch_size": 10} | settings
    return training.fit(model, KEY, images, **settings)


def fit_ensemble(rows: Any = ROWS, **settings: Any) -> Any:
    settings = {"epochs": 1, "batch_size": 5} | settings
    return training.fit_ensemble(training.masked(MODEL), KEY, IMAGES, rows, **settings)


DATA = [
    refuses("shape (0, 4, 4): give (n, 4, 4), n >= 1", fit, IMAGES[:0]),
    refuses("shape (20, 3, 4): give (n, 4, 4)", fit, IMAGES[:, :3]),
    refuses("images = nan (at index 0, 0, 0)", fit, np.nan * IMAGES),
    refuses("images has masked entries", fit, np.ma.array(IMAGES, mask=IMAGES > 0)),
    refuses("images' dtype = <U1 ", fit, np.array(["a"])),
    refuses("images' dtype = object", fit, IMAGES.astype(object)),
]
MODELS = [
    refuses("model is not valid: it is of type NoneType", fit, model=None),
    refuses(
        "params.encoder['Dense_0']['bias'] = nan (at index 0)", fit, params=NAN_PARAMS
    ),
    refuses("params are not this network's", fit, loss=losses.negative_elbo(OTHER)),
    refuses("loss = 'elbo' is no loss function", fit, loss="elbo"),
    refuses(
        "give, for instance, losses.negative_elbo(model)",
        fit,
        loss=losses.negative_elbo,
    ),
]
LENGTH = [
    refuses("epochs = 1.5 ", fit, epochs=1.5),
    refuses("epochs = True ", fit, epochs=True),
    refuses("batch_size = 10 ", fit, IMAGES[:1]),
    refuses("batch_size = 21 ", fit, batch_size=21),
    refuses("batch_size = 2.5 ", fit, batch_size=2.5),
    refuses(
        "batch_size = 128 is not valid: give 1 to the number of rows, 100",
        training.num_epochs,
        100,
        10,
        128,
    ),
]
OPTIMISERS = [
    refuses("learning_rate = inf ", training.Adam, np.inf),
    refuses("learning_rate = -1.0 ", training.Muon, learning_rate=-1.0),
    refuses(
        "optimizer = 'sgd' is not known: choose from adam, muon, or give an Optax",
        fit,
        optimizer="sgd",
    ),
    refuses("optimizer = 0.1 is not", fit, optimizer=0.1),
]
CALLBACKS = [
    refuses("on_epoch = a.csv ", fit, on_epoch="a.csv"),
    refuses("stopping = soon ", fit, stopping="soon"),
    refuses("patience = 1.5 ", training.EarlyStopping, len, patience=1.5),
    refuses("seconds = -1.0 ", training.Checkpoint, "runs", seconds=-1.0),
    refuses("path = . is not valid", training.csv_log, "."),
]
ENSEMBLES = [
    refuses("rows' axes = 1 ", fit_ensemble, ROWS[0]),
    refuses("rows = 20 (at index 1, 9)", fit_ensemble, ROWS + 1),
    refuses("rows' dtype = float64 ", fit_ensemble, 0.5 * ROWS),
    refuses("runs = 0 ", fit_ensemble, ROWS[:0]),
    refuses(
        "masks' shape = [3 2] is not valid: give (runs, latents), (2, 2)",
        fit_ensemble,
        masks=np.ones((3, 2)),
    ),
    refuses("latents = 0 (at index 1)", training.masks, (2, 0)),
    refuses("index = 99 ", training.take_run, PARAMS, 99),
]


@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize(
    ("call", "says"),
    [*DATA, *MODELS, *LENGTH, *OPTIMISERS, *CALLBACKS, *ENSEMBLES],
)
def test_bad_input_is_named_with_a_remedy(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        call()
