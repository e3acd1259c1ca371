"""Early stopping: end a training when held-out data have not improved for some epochs.

held_out = lambda params: evaluate.elbo(model, params, key, x_valid).elbo
on_epoch, best = early_stopping(held_out, patience=10)
fit(model, key, images, epochs=500, on_epoch=on_epoch)
best().params
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from vijax.vae.models.autoencoders import ModelParams
from vijax.vae.training.train import OnEpoch
from vijax.validate import check, is_whole


class Best(NamedTuple):
    """The parameters at the epoch whose held-out value was highest."""

    epoch: int  # counted from 1
    value: float
    params: ModelParams


def early_stopping(
    held_out: Callable[[ModelParams], ArrayLike], *, patience: int, every: int = 1
) -> tuple[OnEpoch, Callable[[], Best]]:
    """Return the callback of `fit`, and the function that returns the best so far.

    Args:
        held_out: what should be high, on data that training does not see. It should
            not draw anew each time: chance would then choose the epoch.
        patience: epochs without a new highest value, after which training ends.
        every: epochs between two evaluations.

    A run taken up from a checkpoint counts anew: it knows no earlier best.

    Raises:
        ValueError: patience or every below 1.

    Example:
        >>> values = iter([-3.0, -2.0, -2.5, -2.6])
        >>> on_epoch, best = early_stopping(lambda params: next(values), patience=2)
        >>> params = ModelParams({}, {})
        >>> [on_epoch(epoch, params, {}) for epoch in (1, 2, 3, 4)], best().epoch
        ([False, False, False, True], 2)
    """
    for name, value in (("patience", patience), ("every", every)):
        check(is_whole(value) and value >= 1, name, value, "give 1 epoch or more")
    found: list[Best] = []

    def on_epoch(epoch: int, params: ModelParams, terms: dict[str, float]) -> bool:
        if epoch % every == 0:
            value = float(np.asarray(held_out(params)))
            if value > (found[-1].value if found else -np.inf):  # never true of NaN
                copy = jax.tree.map(np.array, params)  # fit reuses the buffers
                found[:] = [Best(epoch, value, copy)]
        return bool(found) and epoch - found[-1].epoch >= patience

    def best() -> Best:
        if not found:
            raise ValueError(f"no epoch was evaluated: train for {every} or more")
        return found[-1]

    return on_epoch, best
