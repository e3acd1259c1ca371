"""Many Pathfinder paths at once, weighed against each other: draws of the posterior."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.validate import check
from vijax.vi import importance_weights
from vijax.vi.engine.batched_density import constrained_sites, over_draws
from vijax.vi.engine.compilation import density_jit
from vijax.vi.families.base import Family
from vijax.vi.methods import pathfinder
from vijax.vi.methods.base import Found, needs_all_rows
from vijax.vi.targets.target import Target

SPREAD = 2.0  # starts are uniform within this distance of the target's own


@dataclass(frozen=True)
class Pathfinder:
    """The best normal along several quasi-Newton paths; whatever the family.

    Raises:
        ValueError: for a count below 1, or a single draw.
    """

    num_paths: int = 4
    num_draws: int = 16  # that the normals along a path are compared by
    num_steps: int = 2000  # of a path; scales that differ by 1e6 take over a thousand

    def __post_init__(self) -> None:
        for name, least in (("num_paths", 1), ("num_draws", 1), ("num_steps", 1)):
            value = getattr(self, name)
            check(value >= least, name, value, f"give at least {least}")

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""
        needs_all_rows(target, 'method = "pathfinder"')

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
        """Find the best q along paths from around `loc`; the scale plays no part."""
        options: dict[str, Any] = {
            "num_paths": self.num_paths,
            "num_draws": self.num_draws,
        }
        options |= {"num_steps": self.num_steps, "tolerance": tolerance}
        return _find(target, key, loc, **options)


@partial(
    density_jit, static_argnames=("num_paths", "num_draws", "num_steps", "tolerance")
)
def _find(
    target: Target,
    key: Key,
    loc: Any,
    *,
    num_paths: int,
    num_draws: int,
    num_steps: int,
    tolerance: float,
) -> Found:
    loc = jnp.asarray(loc)
    start_key, elbo_key = jax.random.split(key)
    starts = scatter(start_key, loc, num_paths)
    eps = jax.random.normal(elbo_key, (num_draws, target.dim), loc.dtype)
    paths = climb_all(target, starts, eps, num_steps, tolerance)
    best = jax.tree.map(lambda x: x[jnp.argmax(paths.elbo)], paths)
    zero, is_found = jnp.zeros_like(best.position), jnp.isfinite(best.elbo)
    return Found(
        best.best,
        best.arrived,
        best.num_steps,
        best.losses,
        zero,
        zero,
        jnp.where(is_found, 0, best.num_steps),
        jnp.sum(paths.num_gradients),
    )


class Paths(NamedTuple):
    """What the paths found together."""

    draws: dict[str, Any]  # constrained unknowns by name, draws first
    khat: Any  # of the weights; below 0.7: good
    effective_sample_size: Any  # of the weighted draws, before resampling
    log_evidence: Any  # nats
    log_evidence_se: Any
    elbo: Any  # of each path, nats; −inf where it failed
    failed: Any  # of each path
    num_gradients: Any  # of log p, all paths together


def multipath(
    target: Target,
    key: Key,
    *,
    num_paths: int = 8,
    num_draws: int = 1000,
    num_steps: int = 2000,
    num_elbo_draws: int = 16,
    tolerance: float = 0.01,
) -> Paths:
    r"""Run paths from scattered starts and resample their draws by importance.

    The draws of all paths that did not fail are weighed by p against the mixture of
    the paths' normals, w = p(z) / (1/I Σ_i q_i(z)), the weights Pareto-smoothed, and
    `num_draws` of them taken with these probabilities. All paths run in one compiled
    program; one that fails, at a start where log p is not finite, say, leaves the
    others as they are.

    Args:
        target: from `from_numpyro` or `from_log_density`.
        key: random key.
        num_paths: paths; the first from the target's init, the others within ±2 of it.
        num_draws: draws to return, and as many, shared by the paths, to weigh.
        num_steps: budget of each path.
        num_elbo_draws: that the normals along a path are compared by.
        tolerance: a path ends where a full step is below this many sds.

    Raises:
        ValueError: for a count that is too small, and where all paths fail.

    References:
        Zhang, Carpenter, Gelman & Vehtari (2022), JMLR 23(306), section 3.3; Veach &
        Guibas (1995) for weights against the mixture.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda x: -0.5 * (x - 3.0) ** 2, 0.0)
        >>> paths = multipath(target, jax.random.key(0))
        >>> bool(abs(paths.draws["params"].mean() - 3.0) < 0.15)
        True
        >>> round(float(paths.log_evidence), 3)  # ½ log 2π
        0.919
    """
    for name, count, least in (
        ("num_paths", num_paths, 1),
        ("num_draws", num_draws, 100),
        ("num_steps", num_steps, 1),
        ("num_elbo_draws", num_elbo_draws, 2),
    ):
        check(count >= least, name, count, f"give at least {least}")
    each = -(-num_draws // num_paths)
    path_key, resample_key = jax.random.split(key)
    options: dict[str, Any] = {
        "num_paths": num_paths,
        "num_elbo_draws": num_elbo_draws,
        "each": each,
    }
    options |= {"num_steps": num_steps, "tolerance": tolerance}
    z, log_weights, path = jax.device_get(_weigh(target, path_key, **options))
    failed = ~np.isfinite(path.elbo)
    if failed.all():
        raise ValueError(
            "target is not valid: its log density or gradient is not finite at any of "
            f"{num_paths} starts; give an init where the density is positive"
        )
    good = np.repeat(~failed, each)
    log_weights = np.where(np.isfinite(log_weights), log_weights, -np.inf)[good]
    if good.sum() < 25:
        raise ValueError(f"num_draws = {num_draws} leaves {good.sum()}: give more")
    smoothed = importance_weights.psis(log_weights)
    shares = np.exp(smoothed.log_weights)
    # Systematic resampling: each draw as often as its share says, to one.
    offset = float(jax.random.uniform(resample_key))
    places = (np.arange(num_draws) + offset) / num_draws
    chosen = np.searchsorted(np.cumsum(shares) / np.sum(shares), places)
    picked = z[good][np.minimum(chosen, len(shares) - 1)]
    return Paths(
        jax.device_get(constrained_sites(target, picked)),
        smoothed.tail_shape,
        smoothed.effective_sample_size,
        smoothed.log_evidence,
        np.std(len(shares) * shares, ddof=1) / len(shares) ** 0.5,
        path.elbo,
        failed,
        np.sum(path.num_gradients),
    )


def scatter(key: Key, loc: Float[Array, " dim"], num_paths: int) -> Array:
    """Return starts: `loc` first, the others uniform around it, (paths, dim)."""
    shape = (num_paths, *loc.shape)
    shift = jax.random.uniform(key, shape, loc.dtype, minval=-SPREAD, maxval=SPREAD)
    return loc + shift.at[0].set(0.0)


def climb_all(
    target: Target, starts: Array, eps: Array, num_steps: int, tolerance: float
) -> pathfinder.Path:
    """Follow all paths, a batch of `pathfinder.climb`."""

    def one(start: Array) -> pathfinder.Path:
        return pathfinder.climb(
            target.log_density, start, eps, max_steps=num_steps, tolerance=tolerance
        )

    return jax.vmap(one)(starts)


@partial(
    density_jit,
    static_argnames=("num_paths", "num_elbo_draws", "each", "num_steps", "tolerance"),
)
def _weigh(
    target: Target,
    key: Key,
    *,
    num_paths: int,
    num_elbo_draws: int,
    each: int,
    num_steps: int,
    tolerance: float,
) -> tuple[Array, Array, pathfinder.Path]:
    """Return draws of every path, their log weights, and the paths."""
    start_key, elbo_key, draw_key = jax.random.split(key, 3)
    dim, dtype = target.dim, target.init.dtype
    starts = scatter(start_key, target.init, num_paths)
    eps = jax.random.normal(elbo_key, (num_elbo_draws, dim), dtype)
    more = jax.random.normal(draw_key, (num_paths, each, dim), dtype)
    path = climb_all(target, starts, eps, num_steps, tolerance)
    good = jnp.isfinite(path.elbo)
    drawn = jax.vmap(lambda q, eps: q.transform(eps))(path.best, more)
    z = drawn.reshape(-1, target.dim)
    log_q = jax.vmap(lambda q: q.log_prob(z))(path.best)  # (paths, draws)
    log_q = jnp.where(good[:, None], log_q, -jnp.inf)
    mixture = logsumexp(log_q, axis=0) - jnp.log(jnp.sum(good))
    return z, over_draws(target, target.log_density, z) - mixture, path
