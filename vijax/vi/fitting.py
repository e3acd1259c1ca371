r"""One call from a target to a q, its errors and a verdict.

    fit = vi.fit(target, key)                       a mean field, all defaults
    fit = vi.fit(target, key, family="full_rank")
    fit.verdict, fit.khat, fit.elbo, fit.elbo_se

`method="fixed_draws"` is Newton's on draws that stay fixed, `"stochastic"` Optax on
fresh draws, from the former's answer where there are at most 200 unknowns and no
subsampled data. A Fit is a pytree: `fit` may be compiled, or vmapped over keys and
data; called eagerly, it compiles once for each model, options and shapes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.methods import stochastic_epochs
from vijax.vi.methods.deterministic import find_fixed, find_laplace, find_pathfinder
from vijax.vi.methods.stochastic import FAMILIES, START, find_stochastic
from vijax.vi.result import Fit, judge
from vijax.vi.targets.data_arguments import to_device
from vijax.vi.targets.target import Target

STARTS = ("auto", "newton", "pathfinder", "init")
METHODS = ("auto", "fixed_draws", "stochastic")
SEARCHES = ("laplace", "pathfinder")  # families that bring their own method
MAX_NEWTON_DIM = 200
NEWTON_STEPS = 200
PATH_STEPS = 2000  # scales that differ by 1e6 take more than a thousand
STOCHASTIC_STEPS = 25_200  # six epochs: 400 + 800 + … + 12,800
NUM_STARTS = 10  # tried until one is finite
DEFAULT_OPTIMIZER = optax.adam(0.05)
# Networks want smaller steps than the numbers of a normal law.
DEFAULT_OPTIMIZERS = {"flow": optax.adam(0.005)}


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
    num_checks: int | None = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> Fit:
    r"""Fit q to the target by maximising the ELBO, and check it.

    Args:
        target: from `from_numpyro` or `from_log_density`.
        key: random key; the same key gives the same fit.
        family: "mean_field"; "full_rank"; "low_rank", a diagonal and ten directions,
            for many unknowns; "flow", which can lean and have long tails; "laplace", a
            full-rank normal at the mode, not at the ELBO's best; "pathfinder", the best
            normal law along four quasi-Newton paths, some hundred gradients in all.
        method: "fixed_draws", "stochastic", or "auto": the first where it can and there
            are at most 200 unknowns. It cannot fit "low_rank" and "flow".
        start: of the stochastic method, "newton" (a quick fit by fixed draws, where
            there are at most 200 unknowns), "pathfinder", "init" (the target's start),
            or "auto": the first that it can.
        positive: how positive unknowns meet the real line, "exp" or "softplus"; by
            default as the target says.
        num_steps: the budget; 200 Newton steps, 2000 of a path, 25,200 stochastic ones.
        num_draws: draws a step; by default 128 to 4096 fixed, or 8 stochastic ones.
        optimizer: an Optax transformation for the stochastic method. Create it once:
            a new one compiles anew.
        estimator: of the stochastic gradient, "sticking" or "entropy".
        tolerance: stop when the means are known to this many sds, the sds to this
            fraction (relative to the family's best q).
        stop: whether to stop before the budget is spent.
        num_checks: draws of q for ELBO, k̂ and evidence; 2000, or 500 where the model
            subsamples, for then each is a pass over all rows.
        progress: whether to show a bar while the stochastic method runs.
        checkpoint: a folder that the stochastic method leaves its state in, every 1000
            steps: the same call after an interruption goes on from there, to the same
            result bit for bit. Of another model, key, optimizer, or with other data or
            options it is refused.

    With either of the last two "auto" takes the stochastic method.

    Errors: ValueError for an unknown option, for a checkpoint of another fit, and where
    the log density is not finite anywhere that was tried.

    Example:
        >>> import jax
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda x: -0.5 * (x - 3.0) ** 2 / 4.0, 0.0)
        >>> fitted = fit(target, jax.random.key(0))
        >>> fitted.verdict, round(fitted.q.loc.item(), 3), fitted.q.scale().round(3)
        ('converged', 3.0, Array([2.], dtype=float32))
    """
    _check_options(family, method, start, estimator, num_steps, num_draws, num_checks)
    if positive is not None:
        target = target.with_positive(positive)
    if num_checks is None:
        num_checks = 500 if target.subsampled else 2000
    whole = method == "fixed_draws" or family in SEARCHES or start == "pathfinder"
    if target.subsampled and whole:
        raise ValueError(
            f"method = {method!r}, family = {family!r}, start = {start!r} needs all "
            "rows at once, but the model subsamples them: leave them, choose a "
            f"family not in {SEARCHES}, or give the plate no subsample_size"
        )
    newton_possible = target.dim <= MAX_NEWTON_DIM
    in_parts = progress or checkpoint is not None
    if in_parts and method == "auto":
        method = "stochastic"
    if in_parts and (
        method != "stochastic"
        or family in SEARCHES
        or not stop
        or is_traced(target, key)
    ):
        raise ValueError(
            "progress and checkpoint are not valid here: they are for the stochastic "
            "method with its stop rule, called outside of jit and vmap; leave them"
        )
    if method == "auto":
        by_newton = newton_possible and family not in START and not target.subsampled
        method = "fixed_draws" if by_newton else "stochastic"
    if start == "auto":
        other = "init" if target.subsampled else "pathfinder"
        start = "newton" if newton_possible else other
    options: dict[str, Any] = {
        "family": family,
        "tolerance": tolerance,
        "num_checks": num_checks,
    }
    if family == "laplace":
        options |= {"num_steps": num_steps or NEWTON_STEPS}
        find: Any = find_laplace
    elif family == "pathfinder":
        options |= {
            "num_steps": num_steps or PATH_STEPS,
            "num_draws": num_draws or 16,
        }
        find = find_pathfinder
    elif method == "fixed_draws":
        options |= {
            "num_steps": num_steps or NEWTON_STEPS,
            "num_draws": num_draws or _enough_draws(target),
        }
        find = find_fixed
    else:
        options |= {
            "num_steps": num_steps or STOCHASTIC_STEPS,
            "num_draws": num_draws or 8,
            "optimizer": optimizer or DEFAULT_OPTIMIZERS.get(family, DEFAULT_OPTIMIZER),
            "estimator": estimator,
            "stop": stop,
            "start_from": start,
            "in_parts": in_parts,
            "checkpoint": None if checkpoint is None else Path(checkpoint),
        }
        find = find_stochastic
    traced = is_traced(target, key)
    for loc, scale in _starts(target, 1 if traced else NUM_STARTS):
        search = find(target, key, loc, scale, **options)
        if traced or int(search.num_rejected) < int(search.num_steps):
            break
    else:
        raise ValueError(
            "target is not valid: its log density or gradient is not finite at any of "
            f"{NUM_STARTS} starts; check the data for NaN, the priors' supports, or "
            "give an init where the density is positive"
        )
    if not traced:
        losses = np.asarray(search.losses)[: int(search.num_steps)]
        search = search._replace(losses=to_device(losses))
    return judge(target, search)


def _enough_draws(target: Target) -> int:
    """Return the size of a batch of fixed draws: large where the data are few."""
    size = max([1, *(leaf.size for leaf in jax.tree.leaves(target.data))])
    affordable = min(4096, 2**18 // size, 2**14 // target.dim)
    return max(128, 4 * target.dim, 2 * (affordable // 2))


def _starts(target: Target, num_starts: int) -> Iterator[tuple[Any, Any]]:
    """Yield means and sds to start from: the init, smaller, then at random."""
    init = target.init if num_starts == 1 else np.asarray(target.init)
    one = np.ones(init.shape, init.dtype)
    rng = np.random.default_rng(0)
    for number in range(num_starts):
        if number < 3:
            yield init, np.full_like(one, 0.1**number)
        else:
            shift = np.asarray(rng.uniform(-2, 2, one.shape), one.dtype)
            yield init + shift, np.full_like(one, 0.1)


def _check_options(
    family: str,
    method: str,
    start: str,
    estimator: str,
    num_steps: int | None,
    num_draws: int | None,
    num_checks: int | None,
) -> None:
    for name, value, options in (
        ("family", family, (*FAMILIES, *SEARCHES)),
        ("method", method, METHODS),
        ("start", start, STARTS),
        ("estimator", estimator, stochastic_epochs.ESTIMATORS),
    ):
        if value not in options:
            raise ValueError(f"{name} = {value!r} is not one of {options}")
    if family in START and method == "fixed_draws":
        raise ValueError(
            f'method = "fixed_draws" does not fit family = {family!r}: leave it "auto"'
        )
    if family in ("flow", *SEARCHES) and estimator == "entropy":
        raise ValueError(
            f'estimator = "entropy" has no formula for family = {family!r}: leave it'
        )
    for name, count, least in (
        ("num_steps", num_steps, 1),
        ("num_draws", num_draws, 1),
        ("num_checks", num_checks, 25),
    ):
        if count is not None and count < least:
            raise ValueError(f"{name} = {count} is not valid: give at least {least}")
