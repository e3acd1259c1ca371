"""Optimisers: Adam and Muon along half a cosine, or any Optax transformation.

The learning rate of Adam and Muon falls along half a period of a cosine. It and the
number of steps are kept in the optimiser's state, as arrays, so that a training with
other numbers runs the same compiled program.

    fit(…, optimizer="adam")                        Adam(), with its defaults
    fit(…, optimizer=Muon(0.05))                    another learning rate
    fit(…, optimizer=optax.adamw(1e-3))             as it is, its own schedule inside
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import jax.numpy as jnp
import optax
from jaxtyping import Array

from vijax import optimize
from vijax.types import Params, Scalar
from vijax.vae.training.muon import scale_by_muon
from vijax.validate import check


@dataclass(frozen=True)
class Adam:
    """Adam, its learning rate falling along half a cosine.

    Args:
        learning_rate: at the first step.
        final_fraction: the last step's learning rate as a fraction of the first's; 1
            keeps it constant.

    Raises:
        ValueError: the learning rate is not above 0, the fraction is below 0, or
            either is not finite.

    References:
        Kingma & Ba (2015), arXiv:1412.6980; Loshchilov & Hutter (2017),
        arXiv:1608.03983, for the cosine.

    Example:
        >>> Adam(3e-4)
        Adam(learning_rate=0.0003, final_fraction=0.0)
    """

    learning_rate: float = 1e-3
    final_fraction: float = 0.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Muon:
    """Muon for weight matrices and Adam for the rest, falling along half a cosine.

    It takes far fewer epochs than Adam for networks of dense layers, at batches of
    several hundred and a learning rate of 0.02 to 0.1.

    Args:
        learning_rate: of the matrices at the first step; Adam's is a tenth of it.
        final_fraction: as for `Adam`.

    Raises:
        ValueError: as for `Adam`.

    References:
        Jordan et al. (2024), kellerjordan.github.io/posts/muon.

    Example:
        >>> Muon(learning_rate=0.05, final_fraction=0.1)
        Muon(learning_rate=0.05, final_fraction=0.1)
    """

    learning_rate: float = 0.02
    final_fraction: float = 0.0

    def __post_init__(self) -> None:
        _check(self)


Optimizer: TypeAlias = str | Adam | Muon | optax.GradientTransformation
OPTIMIZERS: dict[str, Callable[..., Adam | Muon]] = {"adam": Adam, "muon": Muon}
DIRECTIONS: dict[type, Callable[[], optax.GradientTransformation]] = {
    Adam: optax.scale_by_adam,
    Muon: scale_by_muon,
}


def named_optimizer(name: str, **settings: float) -> Adam | Muon:
    """Return the optimiser of a name, for settings that come as text.

    Args:
        name: "adam" or "muon".
        **settings: of `Adam` or `Muon`.

    Raises:
        ValueError: the name is not known, or as `Adam`.

    Example:
        >>> named_optimizer("muon", learning_rate=0.05)
        Muon(learning_rate=0.05, final_fraction=0.0)
    """
    if name not in OPTIMIZERS:
        raise ValueError(
            f"optimizer = {name!r} is not known: choose from {', '.join(OPTIMIZERS)}, "
            "or give an Optax transformation"
        )
    return OPTIMIZERS[name](**settings)


def as_optimizer(optimizer: Optimizer) -> Adam | Muon | optax.GradientTransformation:
    """Return what a name stands for; other optimisers as they are.

    Raises:
        ValueError: the name is not known, or it is no optimiser.

    Example:
        >>> as_optimizer("adam")
        Adam(learning_rate=0.001, final_fraction=0.0)
    """
    if isinstance(optimizer, Adam | Muon | optax.GradientTransformation):
        return optimizer
    return named_optimizer(optimizer)


def transformation(optimizer: Optimizer) -> optax.GradientTransformation:
    """Return the Optax transformation; the same one for every learning rate.

    Raises:
        ValueError: as `as_optimizer`.

    Example:
        >>> transformation(Adam(1e-3)) is transformation(Adam(1e-2))
        True
    """
    optimizer = as_optimizer(optimizer)
    if isinstance(optimizer, Adam | Muon):
        kind: type = type(optimizer)
        return _along_a_cosine(kind)
    return optimizer


def start(params: Params, optimizer: Optimizer, *, num_steps: int) -> optimize.State:
    """Return the state before the first step of `transformation(optimizer)`.

    Args:
        params: that the optimisation starts from.
        optimizer: a name, an `Adam`, a `Muon` or an Optax transformation.
        num_steps: after which the learning rate of `Adam` and `Muon` has fallen.

    Raises:
        ValueError: as `as_optimizer`.

    Example:
        >>> state = start({"x": jnp.ones(2)}, Adam(0.1), num_steps=10)
        >>> round(state.opt_state.hyperparams["learning_rate"].item(), 6)
        0.1
    """
    optimizer = as_optimizer(optimizer)
    state = optimize.init(params, transformation(optimizer))
    if isinstance(optimizer, Adam | Muon):
        numbers = {
            "learning_rate": jnp.asarray(optimizer.learning_rate, jnp.float32),
            "final_fraction": jnp.asarray(optimizer.final_fraction, jnp.float32),
            "num_steps": jnp.asarray(num_steps, jnp.int32),
        }
        opt_state: Any = state.opt_state
        state = state._replace(opt_state=opt_state._replace(hyperparams=numbers))
    return state


def cosine(
    step: Array, learning_rate: Array, final_fraction: Array, num_steps: Array
) -> Scalar:
    """Half a cosine from learning_rate to final_fraction × learning_rate.

    Example:
        >>> round(cosine(*jnp.array([5.0, 1e-3, 0.0, 10.0])).item(), 7)  # halfway
        0.0005
    """
    progress = jnp.minimum(step / num_steps, 1.0)
    half_cosine = 0.5 * (1 + jnp.cos(jnp.pi * progress))
    fraction = final_fraction + (1 - final_fraction) * half_cosine
    return learning_rate * fraction


@lru_cache
def _along_a_cosine(kind: type) -> optax.GradientTransformation:
    def make(
        learning_rate: Array, final_fraction: Array, num_steps: Array
    ) -> optax.GradientTransformation:
        def rate(step: Array) -> Array:
            return -cosine(step, learning_rate, final_fraction, num_steps)

        return optax.chain(DIRECTIONS[kind](), optax.scale_by_schedule(rate))

    inject = optax.inject_hyperparams(make, hyperparam_dtype=jnp.float32)
    return inject(learning_rate=0.0, final_fraction=0.0, num_steps=1)


def _check(optimizer: Adam | Muon) -> None:
    rate, fraction = optimizer.learning_rate, optimizer.final_fraction
    remedy = "give a number above 0"
    check(0 < rate < math.inf, "learning_rate", rate, remedy)
    remedy = "give a number of 0 or more"
    check(0 <= fraction < math.inf, "final_fraction", fraction, remedy)
