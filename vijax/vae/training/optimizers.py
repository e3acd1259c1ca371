"""Optimisers whose learning rate falls along half a cosine, no number compiled in.

The peak, the final fraction and the length stand in the optimiser's state, so that
other numbers run the same compiled program.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from vijax import optimize
from vijax.types import Params, Scalar
from vijax.vae.training.muon import scale_by_muon


class CosineState(NamedTuple):
    """Where the learning rate stands on its way."""

    step: Array
    num_steps: Array
    learning_rate: Array  # at the first step
    final_fraction: Array  # of it, at the last step


OPTIMIZERS = {"adam": optax.scale_by_adam, "muon": scale_by_muon}


@lru_cache
def optimizer(name: str = "adam") -> optax.GradientTransformation:
    """Return an optimiser by name; `start` puts the learning rate into its state."""
    if name not in OPTIMIZERS:
        raise ValueError(
            f"optimizer = {name!r} is not known: choose from {', '.join(OPTIMIZERS)}"
        )
    return optax.chain(OPTIMIZERS[name](), _scale_by_cosine())


def adam_cosine() -> optax.GradientTransformation:
    """Return Adam, `optimizer("adam")`."""
    return optimizer("adam")


def start(
    params: Params,
    *,
    num_steps: int | Array,
    learning_rate: float | Array,
    final_fraction: float,
    name: str = "adam",
) -> optimize.State:
    """Return the state before the first step of `optimizer(name)`."""
    state = optimize.init(params, optimizer(name))
    schedule = CosineState(
        jnp.zeros((), jnp.int32),
        jnp.asarray(num_steps, jnp.int32),
        jnp.asarray(learning_rate, jnp.float32),
        jnp.asarray(final_fraction, jnp.float32),
    )
    return state._replace(opt_state=(state.opt_state[0], schedule))


def learning_rate_at(state: CosineState) -> Scalar:
    """Half a cosine from learning_rate to final_fraction × learning_rate.

    Example:
        >>> halfway = CosineState(*jnp.array([5.0, 10.0, 1e-3, 0.0]))
        >>> round(learning_rate_at(halfway).item(), 7)
        0.0005
    """
    progress = jnp.minimum(state.step / state.num_steps, 1.0)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * progress))
    fraction = state.final_fraction + (1 - state.final_fraction) * cosine
    return state.learning_rate * fraction


def _scale_by_cosine() -> optax.GradientTransformation:
    def init(params: Any) -> CosineState:
        zero, count = jnp.zeros(()), jnp.zeros((), jnp.int32)
        return CosineState(count, count + 1, zero, zero)

    def update(
        updates: Any, state: CosineState, params: Any = None
    ) -> tuple[Any, CosineState]:
        rate = -learning_rate_at(state)
        updates = jax.tree.map(lambda u: (rate * u).astype(u.dtype), updates)
        return updates, state._replace(step=state.step + 1)

    return optax.GradientTransformation(init, update)
