r"""One call from a target to a q, its errors and a verdict.

    fit = vi.fit(target, key)                       a mean field, all defaults
    fit = vi.fit(target, key, family="full_rank")
    fit.verdict, fit.khat, fit.elbo, fit.elbo_se

`method="fixed_draws"` is Newton's on draws that stay fixed, `"stochastic"` Optax on
fresh draws, from the former's answer where there are at most 200 unknowns and no
subsampled data. A Fit is a pytree: `fit` may be compiled, or vmapped over keys and
data; called eagerly, it compiles once for each model, options and shapes.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi import fixed_draws, stochastic
from vijax.vi.families import FAMILIES, FullRank, MeanField
from vijax.vi.result import Fit, judge
from vijax.vi.target import Target

METHODS = ("auto", "fixed_draws", "stochastic")
MAX_NEWTON_DIM = 200
NEWTON_STEPS = 200
DEFAULT_OPTIMIZER = optax.adam(0.05, b2=0.99)


def fit(
    target: Target,
    key: Key,
    *,
    family: str = "mean_field",
    method: str = "auto",
    start: str = "auto",
    positive: str | None = None,
    num_steps: int | None = None,
    num_draws: int | None = None,
    optimizer: optax.GradientTransformation | None = None,
    estimator: str = "sticking",
    tolerance: float = 0.01,
    stop: bool = True,
    num_checks: int = 2000,
) -> Fit:
    r"""Fit q to the target by maximising the ELBO, and check it.

    Args:
        target: from `from_numpyro` or `from_log_density`.
        key: random key; the same key gives the same fit.
        family: "mean_field" or "full_rank".
        method: "fixed_draws", "stochastic", or "auto": the first where there are at
            most 200 unknowns.
        start: of the stochastic method, "newton" (a quick fit by fixed draws),
            "init" (the target's start), or "auto".
        positive: how positive unknowns meet the real line, "exp" or "softplus"; by
            default as the target says.
        num_steps: the budget; 200 Newton steps or 20,000 stochastic ones.
        num_draws: draws a step; max(128, 4 dim) fixed, or 8 stochastic ones.
        optimizer: an Optax transformation for the stochastic method. Create it once:
            a new one compiles anew.
        estimator: of the stochastic gradient, "sticking" or "entropy".
        tolerance: stop when the means are known to this many sds, the sds to this
            fraction (relative to the family's best q).
        stop: whether to stop before the budget is spent.
        num_checks: draws of q for ELBO, k̂ and evidence.

    Errors: ValueError for an unknown option, and where the log density is not finite
    anywhere that was tried.

    Example:
        >>> from vijax.vi.target import from_log_density
        >>> target = from_log_density(lambda x: -0.5 * (x - 3.0) ** 2 / 4.0, 0.0)
        >>> fitted = fit(target, jax.random.key(0))
        >>> fitted.verdict, round(fitted.q.loc.item(), 3), fitted.q.scale().round(3)
        ('converged', 3.0, Array([2.], dtype=float32))
    """
    _check_options(family, method, start, estimator, num_steps, num_draws, num_checks)
    if positive is not None:
        target = target.with_positive(positive)
    newton_possible = target.dim <= MAX_NEWTON_DIM
    if method == "auto":
        method = "fixed_draws" if newton_possible else "stochastic"
    if start == "auto":
        start = "newton" if newton_possible else "init"
    options: dict[str, Any] = {
        "family": family,
        "tolerance": tolerance,
        "num_checks": num_checks,
    }
    if method == "fixed_draws":
        options |= {
            "num_steps": num_steps or NEWTON_STEPS,
            "num_draws": num_draws or max(128, 4 * target.dim),
        }
        compiled = _fit_fixed
    else:
        options |= {
            "num_steps": num_steps or 20_000,
            "num_draws": num_draws or 8,
            "optimizer": optimizer or DEFAULT_OPTIMIZER,
            "estimator": estimator,
            "stop": stop,
            "newton": start == "newton",
        }
        compiled = _fit_stochastic
    if is_traced(target, key):
        return compiled(target, key, target.init, jnp.ones_like(target.init), **options)
    return _fit_from_a_finite_start(compiled, target, key, options)


def _fit_from_a_finite_start(
    compiled: Any, target: Target, key: Key, options: dict[str, Any]
) -> Fit:
    """Try smaller and then random starts until log p is finite at q's draws."""
    rng = np.random.default_rng(0)
    starts = [(np.zeros(target.dim), scale) for scale in (1.0, 0.1, 0.01)]
    starts += [(rng.uniform(-2, 2, target.dim), 0.1) for _ in range(7)]
    for offset, scale in starts:
        loc = target.init + jnp.asarray(offset, target.init.dtype)
        fitted = compiled(target, key, loc, jnp.full_like(loc, scale), **options)
        if fitted.num_steps > 0:
            num_steps = int(fitted.num_steps)
            return fitted._replace(losses=fitted.losses[:num_steps])
    raise ValueError(
        "target is not valid: its log density or gradient is not finite at any of "
        f"{len(starts)} starts; check the data for NaN, the priors' supports, or give "
        "an init where the density is positive"
    )


@partial(
    jax.jit,
    static_argnames=("family", "tolerance", "num_checks", "num_steps", "num_draws"),
)
def _fit_fixed(
    target: Target,
    key: Key,
    loc: Float[Array, " dim"],
    scale: Float[Array, " dim"],
    *,
    family: str,
    tolerance: float,
    num_checks: int,
    num_steps: int,
    num_draws: int,
) -> Fit:
    solve_key, check_key = jax.random.split(key)
    state = _newton(
        target,
        solve_key,
        loc,
        scale,
        diagonal=family == "mean_field",
        num_batches=32,
        num_draws=num_draws,
        num_steps=num_steps,
        tolerance=tolerance,
    )
    q: Any = (
        MeanField(state.loc, jnp.log(jnp.diag(state.tril)))
        if family == "mean_field"
        else FullRank.from_tril(state.loc, state.tril)
    )
    moments = state.moments
    error = jnp.max(jnp.maximum(moments.loc_error, moments.scale_error))
    # More draws than the largest number allowed would be needed: say so only where
    # the answer itself is in doubt, not where it misses the tolerance by little.
    good = state.done & (error < 10 * tolerance)
    return judge(
        target,
        q,
        check_key,
        num_checks,
        good,
        num_steps=state.num_steps,
        losses=state.losses,
        loc_error=moments.loc_error,
        scale_error=moments.scale_error,
        num_rejected=state.num_rejected,
        num_gradients=state.num_gradients,
    )


@partial(
    jax.jit,
    static_argnames=(
        "family",
        "tolerance",
        "num_checks",
        "num_steps",
        "num_draws",
        "optimizer",
        "estimator",
        "stop",
        "newton",
    ),
)
def _fit_stochastic(
    target: Target,
    key: Key,
    loc: Float[Array, " dim"],
    scale: Float[Array, " dim"],
    *,
    family: str,
    tolerance: float,
    num_checks: int,
    num_steps: int,
    num_draws: int,
    optimizer: optax.GradientTransformation,
    estimator: str,
    stop: bool,
    newton: bool,
) -> Fit:
    newton_key, solve_key, check_key = jax.random.split(key, 3)
    tril = jnp.diag(scale)
    num_gradients = jnp.zeros((), jnp.int32)
    if newton:
        begun = _newton(
            target,
            newton_key,
            loc,
            scale,
            diagonal=family == "mean_field",
            num_batches=1,
            num_draws=max(64, 4 * target.dim),
            num_steps=50,
            tolerance=10 * tolerance,
        )
        loc, tril, num_gradients = begun.loc, begun.tril, begun.num_gradients

    # In the start's coordinates, u = loc + tril v, every posterior is about N(0, I).
    def log_density(v: Float[Array, " dim"], key: Key) -> Scalar:
        log_det = jnp.sum(jnp.log(jnp.diag(tril)))
        shift = jnp.diag(tril) * v if family == "mean_field" else tril @ v
        return target.log_density(loc + shift, key) + log_det

    def moments(q: Any) -> Float[Array, " moments"]:
        scale = q.scale()
        return jnp.concatenate([q.mean() / scale, jnp.log(scale)])

    chunk_size = next(size for size in (25, 20, 10, 5, 2, 1) if num_steps % size == 0)
    num_chunks = num_steps // chunk_size
    origin = FAMILIES[family].init(jnp.zeros_like(loc), jnp.ones_like(loc))
    end = stochastic.run(
        origin,
        log_density,
        solve_key,
        optimizer=optimizer,
        num_draws=num_draws,
        num_steps=num_steps,
        chunk_size=chunk_size,
        first_epoch=min(num_chunks, 8) if stop else num_chunks,
        tolerance=tolerance,
        estimator=estimator,
        moments=moments,
    )
    taken = end.chunk * chunk_size
    loc_error, scale_error = jnp.split(end.error, 2)
    return judge(
        target,
        end.answer.affine(loc, tril),
        check_key,
        num_checks,
        end.done if stop else jnp.asarray(True),
        num_steps=taken,
        losses=end.losses.reshape(-1),
        loc_error=loc_error,
        scale_error=scale_error,
        num_rejected=end.state.num_rejected,
        num_gradients=num_gradients + taken * num_draws,
    )


def _newton(
    target: Target,
    key: Key,
    loc: Float[Array, " dim"],
    scale: Float[Array, " dim"],
    *,
    diagonal: bool,
    num_batches: int,
    num_draws: int,
    num_steps: int,
    tolerance: float,
) -> fixed_draws.State:
    noise = fixed_draws.standardized_noise(
        key, num_batches, num_draws, loc.size, loc.dtype
    )
    return fixed_draws.solve(
        target.log_density,
        loc,
        jnp.diag(scale),
        noise,
        diagonal=diagonal,
        max_steps=num_steps,
        tolerance=tolerance,
    )


def _check_options(
    family: str,
    method: str,
    start: str,
    estimator: str,
    num_steps: int | None,
    num_draws: int | None,
    num_checks: int,
) -> None:
    for name, value, options in (
        ("family", family, tuple(FAMILIES)),
        ("method", method, METHODS),
        ("start", start, ("auto", "newton", "init")),
        ("estimator", estimator, stochastic.ESTIMATORS),
    ):
        if value not in options:
            raise ValueError(f"{name} = {value!r} is not one of {options}")
    for name, count, least in (
        ("num_steps", num_steps, 1),
        ("num_draws", num_draws, 1),
        ("num_checks", num_checks, 25),
    ):
        if count is not None and count < least:
            raise ValueError(f"{name} = {count} is not valid: give at least {least}")
