"""The method of stochastic gradients: where they start from, and what they see."""

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.array_module import array_module
from vijax.types import GradientTransformation, Key, Scalar
from vijax.validate import check
from vijax.vi.engine.batched_density import log_densities
from vijax.vi.engine.compilation import density_jit, in_trace, light_jit
from vijax.vi.engine.loops import while_running
from vijax.vi.engine.threefry import fold_in
from vijax.vi.families import base
from vijax.vi.families.base import Family
from vijax.vi.methods import stochastic_loop
from vijax.vi.methods.base import Found, needs_all_rows
from vijax.vi.methods.checkpointed import describe, run_in_parts
from vijax.vi.methods.fixed_draws import MAX_DIM, FixedDraws
from vijax.vi.methods.multipath_pathfinder import Pathfinder
from vijax.vi.targets.arguments.data_arguments import to_device
from vijax.vi.targets.target import Target

STARTS = ("auto", "newton", "pathfinder", "init")
ANCHOR_STEPS = 3  # passes over all rows
LEARNING_RATE = 0.05  # of Adam, where a family does not say


@dataclass(frozen=True)
class Stochastic:
    """Optax on fresh draws, for every family, many unknowns, and subsampled rows.

    The search starts from a quick normal answer, in whose coordinates the posterior is
    about N(0, I). See `stochastic_loop` for epochs and the stop rule.

    Raises:
        ValueError: for an unknown name, or a count below 1.
    """

    num_steps: int = 25_200  # the budget; six epochs: 400 + 800 + … + 12,800
    num_draws: int = 8  # a step
    # An Optax transformation; create it once, for a new one compiles anew. None: Adam.
    optimizer: GradientTransformation | None = None
    estimator: str = "sticking"  # of the gradient; or "entropy"
    stop: bool = True  # whether to stop before the budget is spent
    # "newton": a quick fit by fixed draws, where there are at most 200 unknowns;
    # "pathfinder"; "init": the target's start; "auto": the first that it can.
    start: str = "auto"
    progress: bool = False  # whether to show a bar
    # Directory to save the state in every 1,000 steps. The same fit resumes from it,
    # with a bit-identical result; another model, key, data or option is refused.
    checkpoint: str | Path | None = None

    def __post_init__(self) -> None:
        for name, options in (
            ("estimator", stochastic_loop.ESTIMATORS),
            ("start", STARTS),
        ):
            value = getattr(self, name)
            if value not in options:
                raise ValueError(f"{name} = {value!r} is not one of {options}")
        for name in ("num_steps", "num_draws"):
            value = getattr(self, name)
            check(value >= 1, name, value, "give at least 1")

    @property
    def in_parts(self) -> bool:
        """Whether the host is spoken to on the way."""
        return self.progress or self.checkpoint is not None

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""
        if self.start == "pathfinder":
            needs_all_rows(target, 'start = "pathfinder"')
        if self.in_parts and not self.stop:
            raise ValueError(
                "progress and checkpoint are not valid with stop = False: leave them"
            )
        q = jax.eval_shape(family.init, target.init, target.init)
        if self.estimator == "entropy" and not hasattr(q, "entropy"):
            raise ValueError(
                f'estimator = "entropy" has no formula for family = {family}: leave it'
            )

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
        """Find q by stochastic gradients, in the coordinates of a quick answer."""
        # Folding compiles one small program, splitting and unpacking two.
        start_key, noise_key, row_key = (fold_in(key, i) for i in range(3))
        normal = getattr(family, "start", family)
        start = self._start(target, start_key, normal, loc, scale, 10 * tolerance)
        if not in_trace() and 0 < int(start.num_steps) <= int(start.num_rejected):
            return start  # not finite around here: `fit` tries another start
        anchor = None
        if target.subsampled and start.covariance is not None:
            anchor = _anchor(target, start.q.loc, start.covariance)
            # The response of a subsample is not the posterior's.
            moved = start.q._replace(loc=anchor.position)
            start = start._replace(q=moved, covariance=None)
        optimizer = self.optimizer or _adam(
            getattr(family, "learning_rate", LEARNING_RATE)
        )
        plan = stochastic_loop.plan(self.num_steps, tolerance=tolerance, stop=self.stop)
        like = target.init
        options: dict[str, Any] = {
            "family": family,
            "optimizer": optimizer,
            "estimator": self.estimator,
            "antithetic": self.num_draws % 2 == 0,
        }

        draw = partial(
            stochastic_loop.draw_noise,
            noise_key,
            like=like,
            num_draws=self.num_draws,
            plan=plan,
        )
        ahead: dict[int, Any] = {}

        def step(carry: stochastic_loop.Carry) -> stochastic_loop.Carry:
            traced = in_trace()
            eps = None if traced else ahead.pop(int(carry.chunk), None)
            eps = draw(carry.chunk) if eps is None else eps
            given = target, start.q, anchor, carry.state, row_key, eps
            taken = _take_chunk(*given, **options)
            if not traced and (following := int(carry.chunk) + 1) < plan.num_chunks:
                ahead[following] = draw(following)  # while the chunk's program runs
            return stochastic_loop.record(carry, like, *taken, plan=plan)

        carry = stochastic_loop.begin(
            like, family=family, optimizer=optimizer, plan=plan
        )
        if self.in_parts:
            about = describe(
                target,
                key,
                **options | {"optimizer": optimizer},
                num_steps=self.num_steps,
                num_draws=self.num_draws,
                tolerance=tolerance,
                start=self.start,
            )
            folder = None if self.checkpoint is None else Path(self.checkpoint)
            carry = run_in_parts(step, carry, folder, about)
        else:
            carry = while_running(step, carry)
        return _found(
            carry, start, self.num_draws, plan.chunk_size, same=family == normal
        )

    def _start(
        self,
        target: Target,
        key: Key,
        normal: Family,
        loc: Any,
        scale: Any,
        tolerance: float,
    ) -> Found:
        """Return a quick normal answer, or N(loc, diag(scale²)) itself."""
        start = self.start
        if start == "auto":
            other = "init" if target.subsampled else "pathfinder"
            start = "newton" if target.dim <= MAX_DIM else other
        given = target, key, normal
        if start == "newton":
            num_draws = max(64, 4 * target.dim)
            quick = FixedDraws(num_draws=num_draws, num_steps=50, num_batches=1)
            return quick.find(*given, loc, scale, tolerance=tolerance)
        zero: Any = np.zeros((), np.int32)
        found = Found(None, *(7 * (zero,)))
        if start == "pathfinder":
            path = Pathfinder().find(*given, loc, scale, tolerance=tolerance)
            loc, scale = path.q.mean(), path.q.scale()
            found = found._replace(num_gradients=path.num_gradients)
        return found._replace(q=_init(loc, scale, family=normal))


class Anchor(NamedTuple):
    """Near the mode of a model that subsamples: where, and all rows' gradient there."""

    position: Float[Array, " dim"]
    gradient: Float[Array, " dim"]


@density_jit
def _anchor(target: Target, loc: Array, covariance: Array) -> Anchor:
    """Take Newton steps over all rows, with the covariance that a subsample gave."""

    def log_p(u: Array) -> Scalar:
        differences, reference = log_densities(target, u[None])
        return differences[0] + reference

    look = jax.value_and_grad(log_p)

    def step(seen: Any, _: None) -> tuple[Any, None]:
        position, value, gradient = seen
        new = position + covariance @ gradient
        new = (new, *look(new))
        better = jnp.isfinite(new[1]) & (new[1] > value)
        return jax.tree.map(lambda n, o: jnp.where(better, n, o), new, seen), None

    begin = (loc, *look(loc))
    (position, _, gradient), _ = jax.lax.scan(step, begin, length=ANCHOR_STEPS)
    return Anchor(position, gradient)


@partial(
    density_jit, static_argnames=("family", "optimizer", "estimator", "antithetic")
)
def _take_chunk(
    target: Target,
    start: Any,
    anchor: Anchor | None,
    state: Any,
    key: Key,
    eps: Any,
    *,
    family: Family,
    optimizer: GradientTransformation,
    estimator: str,
    antithetic: bool,
) -> Any:
    """Take a step for each row of noise, in the coordinates of the start."""
    loc, scale = start.coordinates()
    log_det = jnp.sum(jnp.log(scale if scale.ndim == 1 else jnp.diag(scale)))

    def estimate(u: Float[Array, " dim"], key: Key) -> Scalar:
        density = partial(target.log_density, key=key)
        if anchor is None:
            return density(u)
        # A control variate: the rows' gradient at the anchor is off by what is known.
        excess = anchor.gradient - jax.grad(density)(anchor.position)
        return density(u) + jnp.vdot(excess, u - anchor.position)

    # In the start's coordinates, u = loc + L v, the posterior is about N(0, I).
    def log_density(v: Float[Array, " dim"], key: Key) -> Scalar:
        return estimate(loc + base.times(scale, v), key) + log_det

    def loss(q: Any, key: Key, eps: Array) -> tuple[Scalar, None]:
        return stochastic_loop.negative_elbo(q, log_density, key, eps, estimator), None

    taken = loss, optimizer, state, key, jnp.asarray(eps)
    return stochastic_loop.take_chunk(*taken, antithetic=antithetic)


def _found(
    carry: stochastic_loop.Carry,
    start: Found,
    num_draws: int,
    chunk_size: int,
    *,
    same: bool,
) -> Found:
    """Return the answer in the target's coordinates; `same`: of the start's family."""
    xp = array_module(carry, start)
    coordinates = start.q.coordinates()
    dim, num_steps = coordinates[0].shape[0], carry.chunk * chunk_size
    found = Found(
        base.affine(carry.answer, *coordinates),
        carry.done,
        num_steps,
        xp.reshape(carry.losses, -1),
        carry.error[:dim],
        carry.error[dim : 2 * dim],
        xp.asarray(carry.state.num_rejected),
        xp.asarray(start.num_gradients) + num_draws * num_steps,
        start.covariance if same else None,
    )
    return jax.tree.map(to_device, found)


@partial(light_jit, static_argnames="family")
def _init(loc: Any, scale: Any, *, family: Family) -> Any:
    return family.init(jnp.asarray(loc), jnp.asarray(scale))


@cache
def _adam(learning_rate: float) -> GradientTransformation:
    import optax  # here, for the other methods need not load it

    return optax.adam(learning_rate)
