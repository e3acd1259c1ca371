r"""Fit the globals to their marginal density; the locals follow by themselves.

    1. which unknowns are local                        targets.structure
    2. log p(θ), the locals integrated out             families.conditional
    3. a full-rank normal q(θ) fitted to it            methods.fixed_draws
    4. q(θ, z) = q(θ) N(z; ẑ(θ), H(θ)⁻¹)               families.structured

So the search has as many dimensions as there are globals, and each of its gradients
costs as much as a few dozen of the model's own.

References:
    Rue, Martino & Chopin (2009), J. R. Stat. Soc. B 71(2); Kristensen et al. (2016),
    J. Stat. Softw. 70(5).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import combinations_with_replacement
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.types import Key, Scalar
from vijax.validate import check
from vijax.vi.engine.compilation import light_jit
from vijax.vi.families import conditional
from vijax.vi.families.base import Family
from vijax.vi.families.gaussian import FullRank, FullRankNormal
from vijax.vi.families.local_modes import Locals
from vijax.vi.families.structured import NUM_LOOKS, Structured, StructuredNormal
from vijax.vi.importance_weights import psis
from vijax.vi.methods.base import Found
from vijax.vi.methods.fixed_draws import FixedDraws
from vijax.vi.targets.structure.dependencies import Structure, find_structure
from vijax.vi.targets.target import Site, Static, Target

START_SCALE = 0.1  # of the globals, in the given sds
MOST_DRAWS, LEAST_DRAWS = 64, 8  # in a batch
# Where normals are corrected a draw is dear, and `_moved` comes after: fewer will do.
FEW_DRAWS, FEW_TOLERANCE = 32, 0.1  # in a batch; sds
FEW_LOOKS = 2  # at a θ's locals, before all of them are taken
LEAST_EFFECTIVE = 200  # weighted draws that may move the globals
MAX_SMALL = 2**13  # data or unknowns; with more, globals are as good as normal
MAX_CUBIC = 6  # globals
NORMAL = 0.01  # nats from normal that are not worth the while
MAX_BATCH = 2**20  # numbers that the data of a batch of draws may hold


@dataclass(frozen=True)
class NestedLaplace:
    """Full rank for the globals, fitted to their marginal; for `Structured`.

    Where the locals' normals are corrected (long chains, large blocks that are not
    normal) the search stops at 0.1 sd, whatever the fit's tolerance: the importance
    weights of a first set of draws give the globals their moments.

    Raises:
        ValueError: for fewer than 1 step or batch.
    """

    num_steps: int = 100  # the budget, for the globals
    num_batches: int = 8  # of fixed draws, at most

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_batches"):
            value = getattr(self, name)
            check(value >= 1, name, value, "give at least 1")

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""
        if not isinstance(family, Structured):
            raise ValueError(
                f'method = "nested_laplace" does not fit family = {family}: '
                'leave it "auto"'
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
        """Find q from N(loc, diag(scale²))."""
        structure = find_structure(target)
        loc, scale = jnp.asarray(loc), jnp.asarray(scale)
        if not structure.groups:
            whole = FixedDraws(num_steps=self.num_steps)
            options: Any = {"tolerance": tolerance}
            return whole.find(target, key, FullRank(), loc, scale, **options)
        theta, start = structure.split(loc)
        # Wide at the start, draws would meet globals where no locals fit.
        width: Array = START_SCALE * scale[structure.globals]
        spent: list[Found] = []
        while True:
            start, sizes = _look(target, _unmarked(structure), theta, start)
            wider = _told_apart(structure, sizes)
            if spent and _kinds(wider) == _kinds(structure):
                break
            structure = wider
            tril = jnp.diag(width)
            q = StructuredNormal(
                FullRankNormal.from_tril(theta, tril), start, structure, target
            )
            compiled = q.compile_weigh(key)
            found = self._fit(target, key, structure, theta, width, start, tolerance)
            compiled.join()
            spent.append(found)
            theta, width = found.q.loc, found.q.scale()
        q = StructuredNormal(found.q, start, structure, target)
        chains = any(group.corrected for group in structure.groups)
        if chains or max(target.data_size, target.dim) <= MAX_SMALL:
            q = _moved(q, jax.random.fold_in(key, 1))
        counts = {
            name: sum(getattr(found, name) for found in spent)
            for name in ("num_gradients", "num_rejected", "num_steps")
        }
        losses = jnp.concatenate([found.losses[: found.num_steps] for found in spent])
        return found._replace(q=q, covariance=None, losses=losses, **counts)

    def _fit(
        self,
        target: Target,
        key: Key,
        structure: Structure,
        theta: Array,
        scale: Array,
        start: Locals,
        tolerance: float,
    ) -> Found:
        """Fit a full-rank normal to the globals' marginal density."""
        num_draws = _batch_size(target, theta.size)
        if any(group.corrected for group in structure.groups):
            num_draws = max(2 * theta.size + 2, min(FEW_DRAWS, num_draws))
            tolerance = max(tolerance, FEW_TOLERANCE)
        method = FixedDraws(num_draws, self.num_steps, self.num_batches)
        marginal = _marginal_target(target, structure, theta, start)
        options: Any = {"tolerance": tolerance}
        return method.find(marginal, key, FullRank(), theta, scale, **options)


def _moved(q: StructuredNormal, key: Key) -> StructuredNormal:
    """Give the globals the moments that importance weights of draws of q find.

    Laplace's marginal of a chain is a little off, and these weights know by how much;
    and where data are few, the normal of the best ELBO has sds that are too small. Each
    weight of a chain has noise of its own; a cubic in the globals' noise, fitted to
    their logs, has little of it. Fresh draws tell what came of it.
    """
    for num_looks in (FEW_LOOKS, NUM_LOOKS) if q.has_corrected else (NUM_LOOKS,):
        drawn = q.weigh(key, q.num_draws, num_looks)
        log_weights = np.asarray(drawn.log_weights, float)
        smoothed = psis(log_weights)
        if smoothed.effective_sample_size >= LEAST_EFFECTIVE:
            break
    else:
        return q
    eps, log_shares = np.asarray(drawn.noise, float), smoothed.log_weights
    if q.has_corrected:
        features = _powers(eps)
        if 10 * features.shape[1] > len(eps):
            return q
        log_shares = features @ np.linalg.lstsq(features, log_weights, rcond=None)[0]
    shares = np.exp(log_shares - np.max(log_shares))
    shares /= np.sum(shares)
    mean = shares @ eps
    covariance = (eps - mean).T @ (shares[:, None] * (eps - mean))
    # In the units of q, N(m + L mean, L covariance Lᵀ).
    tril = np.asarray(q.globals.scale_tril, float)
    loc = q.globals.loc + tril @ mean
    tril = tril @ np.linalg.cholesky(covariance)
    dtype = q.globals.loc.dtype
    found = FullRankNormal.from_tril(jnp.asarray(loc, dtype), jnp.asarray(tril, dtype))
    return q._replace(globals=found)


def _powers(eps: np.ndarray) -> np.ndarray:
    """Return the products of up to three columns; of up to two where there are many."""
    columns = range(eps.shape[1])
    degrees = range(4 if len(columns) <= MAX_CUBIC else 3)
    chosen = [c for n in degrees for c in combinations_with_replacement(columns, n)]
    return np.stack([np.prod(eps[:, list(c)], axis=1) for c in chosen], axis=1)


def _told_apart(structure: Structure, sizes: tuple[Scalar, ...]) -> Structure:
    """Mark the groups that are not normal given θ, which want more than a normal."""
    pairs = zip(structure.groups, sizes, strict=True)
    marked = [replace(g, is_normal=g.is_normal and float(s) < NORMAL) for g, s in pairs]
    return replace(structure, groups=tuple(marked))


def _unmarked(structure: Structure) -> Structure:
    """Return a structure whose marks are all the same, for what does not read them."""
    groups = tuple(replace(group, is_normal=False) for group in structure.groups)
    return replace(structure, groups=groups)


def _kinds(structure: Structure) -> list[bool]:
    return [group.is_normal for group in structure.groups]


@light_jit  # looks at each unknown once or twice, and long chains compile for long
def _look(
    target: Target, structure: Structure, theta: Array, start: Locals
) -> tuple[Locals, tuple[Scalar, ...]]:
    """Return the locals' mode, and how far each group is from normal there, nats."""
    normals = conditional.laplace(target, structure, theta, start)
    return normals.mode, conditional.non_normality(target, structure, theta, normals)


def _batch_size(target: Target, num_globals: int) -> int:
    """Return an even number of draws: few where the data are many."""
    affordable = MAX_BATCH // max(target.data_size, target.dim)
    return max(2 * num_globals + 2, LEAST_DRAWS, 2 * (min(MOST_DRAWS, affordable) // 2))


def _marginal_target(
    target: Target, structure: Structure, theta: Array, start: Locals
) -> Target:
    """Return the target of the globals alone."""
    # Flat, for JAX's transformations fill a pytree with things that are no arrays.
    leaves, treedef = jax.tree.flatten((target, structure, start))
    static = Static(
        _marginal_density,
        _constrain,
        _constrain,
        target.static.function,
        treedef,
        (Site("globals", theta.shape),),
    )
    return Target(leaves, theta, static)


def _marginal_density(
    static: Static, data: Any, params: dict[str, Array], key: Any
) -> Scalar:
    return _density_of(static.structure)(list(data), params["globals"])


@cache
def _density_of(treedef: Hashable) -> Callable[[list[Array], Array], Scalar]:
    """Return log p(θ) of (leaves, θ), whose many θ of a `vmap` are run in batches."""

    @jax.jit
    def traced(leaves: list[Array], theta: Array) -> tuple[Array, Array]:
        target, structure, start = jax.tree.unflatten(treedef, leaves)

        def log_marginal(theta: Array) -> Scalar:
            return conditional.log_marginal(target, structure, theta, start)

        return jax.value_and_grad(log_marginal)(theta)

    @full_precision
    def value_and_gradient(leaves: list[Array], theta: Array) -> tuple[Array, Array]:
        # JAX traces once for each context that it is called in, so that is the same.
        with jax.sharding.use_abstract_mesh(jax.sharding.get_abstract_mesh()):
            return traced(leaves, theta)

    look = jax.custom_batching.custom_vmap(value_and_gradient)

    @look.def_vmap
    def look_at_many(
        size: int, batched: Any, leaves: list[Array], theta: Array
    ) -> tuple[Any, tuple[bool, bool]]:
        if any(batched[0]):
            raise ValueError('family = "structured" cannot be fitted inside vmap')
        target, *_ = jax.tree.unflatten(treedef, leaves)
        one = partial(value_and_gradient, leaves)
        return conditional.in_batches(target, one, theta), (True, True)

    @jax.custom_vjp
    def log_density(leaves: list[Array], theta: Array) -> Scalar:
        return look(leaves, theta)[0]

    log_density.defvjp(look, lambda gradient, cotangent: (None, cotangent * gradient))
    return log_density


def _constrain(
    static: Static, data: Any, params: dict[str, Array], key: Any = None
) -> dict[str, Array]:
    return params
