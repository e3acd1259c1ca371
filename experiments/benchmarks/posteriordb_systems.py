"""The systems of the benchmark on posteriordb: each turns a posterior into moments.

All take (posterior, seed, steps) and return means and sds of the posterior's
parameters, or None for no answer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal

from experiments.benchmarks import peers, posteriordb_pymc
from experiments.studies import posteriordb
from vijax import vi

SD_LIMIT, MEAN_FIELD_SD_LIMIT = 0.05, 0.10
Posterior = posteriordb.Posterior
Moments = tuple[np.ndarray, np.ndarray]  # means and sds of the parameters


class System(NamedTuple):
    """One system with one family of q."""

    run: Callable[[Posterior, int, int], Moments | None]
    sd_limit: float  # relative error of an sd that is called wrong
    grows: bool  # whether it is given more steps: it has no stop rule of its own


def vijax(family: str) -> Callable[[Posterior, int, int], Moments | None]:
    """vi.fit of one family; the moments that its verdict tells to use, or None."""

    def run(posterior: Posterior, seed: int, steps: int) -> Moments | None:
        target = vi.from_numpyro(posterior.model, *posterior.arguments)
        fit = vi.fit(target, jax.random.key(seed), family=family)
        table, flat = vi.summary(fit), posteriordb.flatten
        if not (fit.trusted or table.correctable):
            return None
        prefix = "" if fit.trusted else "corrected_"
        mean, sd = (
            {site: columns[f"{prefix}{moment}"] for site, columns in table.items()}
            for moment in ("mean", "sd")
        )
        return flat(mean, posterior.parameters), flat(sd, posterior.parameters)

    return run


def peer(system: peers.System) -> Callable[[Posterior, int, int], Moments]:
    """Return another system's moments of the posterior's parameters."""

    def run(posterior: Posterior, seed: int, steps: int) -> Moments:
        draws = system(posterior.model, posterior.arguments, seed, steps)
        return of_draws(draws, posterior)

    return run


def pymc(posterior: Posterior, seed: int, steps: int) -> Moments | None:
    """pm.fit(method="advi"), where the posterior is written in PyMC."""
    draws = posteriordb_pymc.advi(posterior, seed, steps, peers.NUM_DRAWS)
    return None if draws is None else of_draws(draws, posterior)


def of_draws(draws: dict[str, Any], posterior: Posterior) -> Moments:
    """Return means and sds of the posterior's parameters."""
    flat = posteriordb.flatten(jax.tree.map(np.asarray, draws), posterior.parameters)
    flat = flat.astype(float)
    return flat.mean(axis=0), flat.std(axis=0)


SYSTEMS = {
    "vijax full-rank": System(vijax("full_rank"), SD_LIMIT, False),
    "vijax mean-field": System(vijax("mean_field"), MEAN_FIELD_SD_LIMIT, False),
    "NumPyro AutoNormal": System(
        peer(peers.numpyro_guide(AutoNormal)), MEAN_FIELD_SD_LIMIT, True
    ),
    "NumPyro AutoMVN": System(
        peer(peers.numpyro_guide(AutoMultivariateNormal)), SD_LIMIT, True
    ),
    "BlackJAX mean-field": System(
        peer(peers.blackjax_mean_field()), MEAN_FIELD_SD_LIMIT, True
    ),
    "BlackJAX Pathfinder": System(peer(peers.blackjax_pathfinder), SD_LIMIT, False),
    "PyMC ADVI": System(pymc, MEAN_FIELD_SD_LIMIT, True),
}
