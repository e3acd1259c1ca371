"""One normal for every mode, by Newton's method from each, weighted by their mass."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.vi import importance_weights
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import enough_draws, log_densities
from vijax.vi.engine.compilation import density_jit, in_trace
from vijax.vi.engine.threefry import fold_in
from vijax.vi.families.base import Family
from vijax.vi.families.gaussian import FullRank
from vijax.vi.families.mixture import Mixture, NormalMixture
from vijax.vi.methods import mode_search
from vijax.vi.methods.base import Found, needs_all_rows
from vijax.vi.methods.fixed_draws import FixedDraws
from vijax.vi.targets.target import Target

ROUNDS = 3  # of the search: the first around a normal, then beside the modes found
NUM_DRAWS = 1000  # of each component, that their masses are found with


@dataclass(frozen=True)
class StackedModes:
    """Fits a normal of full rank at every mode, and weighs them by importance.

    References:
        Yao, Vehtari & Gelman (2022), JMLR 23(79), arXiv:2006.12335 (stacking modes).
    """

    num_steps: int = 200  # the budget of each component's search

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""
        needs_all_rows(target, 'family = "mixture"')
        if not isinstance(family, Mixture) or in_trace():
            raise ValueError(
                f"method = {self} fits Mixture() alone, and only outside of jit and "
                'vmap: leave method "auto", or give another family'
            )
        if target.dim > mode_search.MAX_DIM:
            raise ValueError(
                f'family = "mixture" is for at most {mode_search.MAX_DIM} unknowns, '
                f"not {target.dim}: give another family"
            )

    def find(
        self,
        target: Target,
        key: Key,
        family: Family,
        loc: Any,
        scale: Any,
        *,
        tolerance: float,
    ) -> Found:
        """Look for modes around a first normal; fit one at each, and weigh them."""
        search_key, mode_key, weight_key = (fold_in(key, i) for i in range(3))
        given = target, search_key, FullRank()
        options: Any = {"tolerance": tolerance}
        first = FixedDraws(num_steps=self.num_steps).find(*given, loc, scale, **options)
        num_starts = min(mode_search.MAX_STARTS, enough_draws(target))
        # The first one may lie over several modes: it counts where there are none.
        found: list[Found] = []
        good = [first]
        q: Any = first.q
        for number in range(ROUNDS):
            modes = mode_search.find_modes(
                target,
                q,
                fold_in(mode_key, number),
                num_starts=num_starts,
                max_steps=50,
                skip_own=number > 0,
            )
            if not len(modes.loc):
                break
            for place, root in zip(modes.loc, modes.root, strict=True):
                sds = np.sqrt(np.sum(root**2, axis=1)).astype(target.init.dtype)
                start = place.astype(target.init.dtype), sds
                found.append(
                    FixedDraws(num_steps=self.num_steps).find(*given, *start, **options)
                )
            good = [one for one in found if bool(one.good)] or [first]
            q = _distinct(good)
        if not found:
            q = _distinct(good)
        eps = noise.normal(weight_key, (NUM_DRAWS, target.dim), target.init.dtype)
        log_weights, responsibilities = _weigh(target, q, noise.whitened(eps))
        smoothed = importance_weights.psis(np.asarray(log_weights))
        mass = np.exp(smoothed.log_weights) @ np.asarray(responsibilities)
        mass = np.maximum(mass / np.sum(mass), 1e-6)
        q = q._replace(log_weights=jnp.asarray(np.log(mass / np.sum(mass)), eps.dtype))
        gradients = [one.num_gradients for one in (first, *found)]
        return first._replace(
            q=q,
            good=jnp.all(jnp.stack([one.good for one in good])),
            loc_error=jnp.max(jnp.stack([one.loc_error for one in good]), axis=0),
            scale_error=jnp.max(jnp.stack([one.scale_error for one in good]), axis=0),
            num_gradients=jnp.sum(jnp.stack(gradients)),
            covariance=None,
        )


def _distinct(found: list[Found]) -> NormalMixture:
    """Return the mixture of the normals that are not the same."""
    kept: list[Any] = []
    for one in found:
        near = [
            np.max(np.abs(one.q.mean() - other.mean()) / one.q.scale()) < 0.5
            for other in kept
        ]
        if not any(near):
            kept.append(one.q)
    loc = jnp.stack([q.loc for q in kept])
    root = jnp.stack([q.scale_tril for q in kept])
    return NormalMixture(jnp.zeros_like(loc[:, 0]) - np.log(len(kept)), loc, root)


@density_jit
def _weigh(target: Target, q: NormalMixture, eps: Array) -> tuple[Array, Array]:
    """Weigh equal numbers of draws of all components; say whose each of them is."""
    z = q.loc[:, None] + jnp.einsum("kij,nj->kni", q.root, eps)
    z = jnp.reshape(z, (-1, z.shape[-1]))
    parts = jax.vmap(
        lambda loc, root: NormalMixture(jnp.zeros(1), loc[None], root[None]).log_prob(z)
    )(q.loc, q.root)
    mixture = jax.nn.logsumexp(parts, axis=0) - jnp.log(len(parts))
    log_p, _ = log_densities(target, z)
    return log_p - mixture, jax.nn.softmax(parts, axis=0).T
