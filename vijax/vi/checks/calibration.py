r"""Simulation-based calibration of a variational fit: is q right on average?

Draw unknowns from the prior and data from the unknowns, fit, and ask where the truth
lies within q: p = P_q(θ < θ_true). Over many simulations p is uniform where q is the
posterior. A q whose mean is off to one side gives a p that is not symmetric about ½;
one that is too narrow gives a p near 0 and 1 too often.

References:
    Yao, Vehtari, Simpson & Gelman (2018), arXiv:1802.02538; Talts et al. (2018),
    arXiv:1804.06788.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from vijax.types import Key
from vijax.validate import check
from vijax.vi.engine.batched_density import over_draws
from vijax.vi.families import base
from vijax.vi.fitting import fit
from vijax.vi.targets.target import Target


class Calibration(NamedTuple):
    """What the simulations say; by the unknowns' names."""

    probabilities: dict[str, np.ndarray]  # p, (simulations, ...)
    bias_p_value: dict[str, np.ndarray]  # of symmetry about ½ (Wilcoxon), (...)
    uniform_p_value: dict[str, np.ndarray]  # of uniformity (Kolmogorov-Smirnov), (...)
    converged: float  # share of the fits


def vsbc(
    key: Key,
    simulate: Callable[[Key], tuple[dict[str, Any], PyTree]],
    make_target: Callable[[PyTree], Target],
    *,
    num_simulations: int = 200,
    num_draws: int = 1000,
    **options: Any,
) -> Calibration:
    r"""Fit simulated data many times, in one compiled `vmap`.

    Args:
        key: random key.
        simulate: key -> (true unknowns by name, data), from the prior on.
        make_target: data -> target, such as `lambda y: vi.from_numpyro(model, y)`.
        num_simulations: data sets; 200 see a bias of a fifth of an sd.
        num_draws: of each q, to find p.
        **options: of `vi.fit`.

    Raises:
        ValueError: for fewer than 10 simulations or draws.
    """
    from scipy import stats  # half a second, which few imports of vijax.vi need

    check(num_simulations >= 10, "num_simulations", num_simulations, "give at least 10")
    check(num_draws >= 10, "num_draws", num_draws, "give at least 10")

    def one(key: Key) -> tuple[dict[str, Any], Any]:
        data_key, fit_key, draw_key = jax.random.split(key, 3)
        truth, data = simulate(data_key)
        target = make_target(data)
        found = fit(target, fit_key, **{"num_checks": 25} | options)
        z = base.sample(found.q, draw_key, num_draws, target.init)
        draws = over_draws(target, target.constrain, z)
        below = {name: jnp.mean(draws[name] < truth[name], axis=0) for name in truth}
        return below, found.status == 0

    below, converged = jax.jit(jax.vmap(one))(jax.random.split(key, num_simulations))
    probabilities = {name: np.asarray(p, float) for name, p in below.items()}

    def test(function: Callable[[np.ndarray], float]) -> dict[str, np.ndarray]:
        return {
            name: np.apply_along_axis(function, 0, p)
            for name, p in probabilities.items()
        }

    return Calibration(
        probabilities,
        test(lambda p: float(stats.wilcoxon(p - 0.5).pvalue)),
        test(lambda p: float(stats.kstest(p, "uniform").pvalue)),
        float(np.mean(converged)),
    )
