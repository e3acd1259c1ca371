r"""Laplace's approximation: a normal q around the mode, by the curvature there.

    mode  u* = argmax log p(u)        in unconstrained space
    q     N(u*, H⁻¹),  H = −∇² log p(u*)

Newton's method with |λ| in the place of negative eigenvalues of H, each unknown in its
own unit 1/√|H_jj|, and steps that are cut until log p rises. It is exact for a normal
posterior, costs a few Hessians, and knows nothing of the posterior beyond its peak: k̂
tells whether that was enough.

References:
    Tierney & Kadane (1986), J. Am. Stat. Assoc. 81(393).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Key, Scalar
from vijax.validate import check
from vijax.vi.engine.compilation import density_jit
from vijax.vi.families.base import Family
from vijax.vi.families.gaussian import FullRankNormal
from vijax.vi.methods.base import Found, needs_all_rows
from vijax.vi.methods.newton import lower_root
from vijax.vi.targets.structure.hessians import hessian
from vijax.vi.targets.target import Target


@dataclass(frozen=True)
class Laplace:
    """A full-rank normal at the mode, not at the ELBO's best; whatever the family.

    Raises:
        ValueError: for fewer than 1 step.
    """

    num_steps: int = 200  # the budget of Newton steps

    def __post_init__(self) -> None:
        check(self.num_steps >= 1, "num_steps", self.num_steps, "give at least 1")

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""
        needs_all_rows(target, 'method = "laplace"')

    def find(
        self,
        target: Target,
        key: Key,
        family: Family,
        loc: Float[ArrayLike, " dim"],
        scale: Float[ArrayLike, " dim"],
        *,
        tolerance: float,
    ) -> Found:
        """Find the mode from `loc`; key, family and scale play no part."""
        return _find(target, loc, num_steps=self.num_steps, tolerance=tolerance)


@partial(density_jit, static_argnames=("num_steps", "tolerance"))
def _find(target: Target, loc: Any, *, num_steps: int, tolerance: float) -> Found:
    mode = find_mode(
        target.log_density, jnp.asarray(loc), max_steps=num_steps, tolerance=tolerance
    )
    zero = jnp.zeros_like(mode.position)
    return Found(
        FullRankNormal.from_tril(mode.position, scale_tril(mode)),
        mode.done,
        mode.num_steps,
        mode.losses,
        zero,
        zero,
        mode.num_rejected,
        # A Hessian is as many gradients as there are unknowns.
        (mode.num_steps + 1) * (target.dim + 1),
    )


class Mode(NamedTuple):
    """Where the search stands."""

    position: Float[Array, " dim"]
    value: Scalar  # log p
    gradient: Float[Array, " dim"]  # in these units
    unit: Float[Array, " dim"]  # 1/√|H_jj|
    eigenvalues: Float[Array, " dim"]  # of H in these units
    vectors: Float[Array, "dim dim"]
    step: Scalar  # share of a full step that is tried next
    num_steps: Int[Array, ""]
    num_rejected: Int[Array, ""]
    losses: Float[Array, " steps"]  # −log p
    done: Bool[Array, ""]


def find_mode(
    log_density: Callable[[Float[Array, " dim"]], Scalar],
    position: Float[Array, " dim"],
    *,
    max_steps: int,
    tolerance: float,
) -> Mode:
    """Climb to the mode; done where a full step is below `tolerance` sds of q.

    Args:
        log_density: one position -> log p, in nats.
        position: where to start.
        max_steps: steps to spend.
        tolerance: in sds.
    """

    def look(position: Array) -> tuple[Array, ...]:
        value, gradient = jax.value_and_grad(log_density)(position)
        curvature = hessian(log_density, position)
        diagonal = jnp.abs(jnp.diag(curvature))
        unit = jnp.where(diagonal > 0, 1 / jnp.sqrt(diagonal), 1.0)
        scaled = -0.5 * (curvature + curvature.T) * jnp.outer(unit, unit)
        return value, unit * gradient, unit, *jnp.linalg.eigh(scaled)

    def attempt(mode: Mode) -> Mode:
        along = mode.vectors.T @ mode.gradient / _size(mode.eigenvalues)
        position = mode.position + mode.step * mode.unit * (mode.vectors @ along)
        seen = look(position)
        finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in seen]))
        slack = 10 * jnp.finfo(position.dtype).eps * (1 + jnp.abs(mode.value))
        better = finite & (seen[0] >= mode.value - slack)
        new = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (position, *seen),
            tuple(mode)[:6],
        )
        position, value, gradient, unit, eigenvalues, vectors = new
        move = (vectors.T @ gradient) / jnp.sqrt(_size(eigenvalues))
        return Mode(
            position,
            value,
            gradient,
            unit,
            eigenvalues,
            vectors,
            jnp.where(better, jnp.minimum(1.0, 2 * mode.step), 0.25 * mode.step),
            mode.num_steps + 1,
            mode.num_rejected + jnp.where(better, 0, 1),
            mode.losses.at[mode.num_steps].set(-value),
            better & (jnp.max(jnp.abs(move)) < tolerance) & (eigenvalues[0] > 0),
        )

    zero = jnp.zeros((), jnp.int32)
    value, *rest = look(position)
    value = jnp.where(jnp.isfinite(value), value, -jnp.inf)
    gradient, unit, eigenvalues, vectors = rest
    start = Mode(
        position,
        value,
        gradient,
        unit,
        eigenvalues,
        vectors,
        jnp.ones((), position.dtype),
        zero,
        zero,
        jnp.full(max_steps, jnp.inf, position.dtype),
        zero > 0,
    )
    return jax.lax.while_loop(
        lambda m: ~m.done & (m.num_steps < max_steps) & (m.step > 1e-8), attempt, start
    )


def scale_tril(mode: Mode) -> Float[Array, "dim dim"]:
    """Return the lower triangular L with L Lᵀ = H⁻¹."""
    return lower_root(
        mode.unit[:, None] * mode.vectors / jnp.sqrt(_size(mode.eigenvalues))
    )


def _size(eigenvalues: Array) -> Array:
    """Return |λ|, small ones raised to 1e-6 of the largest."""
    size = jnp.abs(eigenvalues)
    return jnp.maximum(size, 1e-6 * jnp.max(size))
