"""The systems of the benchmark on posteriordb: each turns a posterior into moments.

All take (posterior, seed, steps) and return means and sds of the posterior's
parameters, or None for no answer. Defaults of each system; NumPyro and BlackJAX have no
default optimiser: Adam, 0.01, as in their examples.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from numpyro.optim import Adam

from experiments.benchmarks import posteriordb_pymc
from experiments.studies import posteriordb
from vijax import vi

NUM_DRAWS = 10_000
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


def numpyro(guide_class: Any) -> Callable[[Posterior, int, int], Moments]:
    """SVI.run with an automatic guide."""

    def run(posterior: Posterior, seed: int, steps: int) -> Moments:
        guide = guide_class(posterior.model)
        svi = SVI(posterior.model, guide, Adam(0.01), Trace_ELBO())
        key, draw_key = jax.random.split(jax.random.key(seed))
        found = svi.run(key, steps, *posterior.arguments, progress_bar=False)
        draws = guide.sample_posterior(
            draw_key, found.params, *posterior.arguments, sample_shape=(NUM_DRAWS,)
        )
        return of_draws(draws, posterior)

    return run


def blackjax_mean_field(posterior: Posterior, seed: int, steps: int) -> Moments:
    """Fit meanfield_vi in a scan, on the log density that vijax makes of the model."""
    import blackjax

    target = vi.from_numpyro(posterior.model, *posterior.arguments)
    algorithm = blackjax.meanfield_vi(target.log_density, optax.adam(0.01))
    key, draw_key = jax.random.split(jax.random.key(seed))

    @jax.jit
    def run(key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> tuple[Any, None]:
            return algorithm.step(key, state)[0], None

        keys = jax.random.split(key, steps)
        return jax.lax.scan(step, algorithm.init(target.init), keys)[0]

    z = algorithm.sample(draw_key, run(key), NUM_DRAWS)
    return of_draws(jax.jit(jax.vmap(target.constrain))(z), posterior)


def blackjax_pathfinder(posterior: Posterior, seed: int, steps: int) -> Moments:
    """Run a single path; steps play no part."""
    from blackjax.vi import pathfinder

    target = vi.from_numpyro(posterior.model, *posterior.arguments)
    key, draw_key = jax.random.split(jax.random.key(seed))
    start = jax.random.uniform(key, target.init.shape, minval=-2.0, maxval=2.0)
    state, _ = jax.jit(
        lambda key, start: pathfinder.approximate(key, target.log_density, start)
    )(key, start)
    z, _ = pathfinder.sample(draw_key, state, NUM_DRAWS)
    return of_draws(jax.jit(jax.vmap(target.constrain))(z), posterior)


def pymc(posterior: Posterior, seed: int, steps: int) -> Moments | None:
    """pm.fit(method="advi"), where the posterior is written in PyMC."""
    draws = posteriordb_pymc.advi(posterior, seed, steps, NUM_DRAWS)
    return None if draws is None else of_draws(draws, posterior)


def of_draws(draws: dict[str, Any], posterior: Posterior) -> Moments:
    """Return means and sds of the posterior's parameters."""
    flat = posteriordb.flatten(jax.tree.map(np.asarray, draws), posterior.parameters)
    flat = flat.astype(float)
    return flat.mean(axis=0), flat.std(axis=0)


SYSTEMS = {
    "vijax full-rank": System(vijax("full_rank"), SD_LIMIT, False),
    "vijax mean-field": System(vijax("mean_field"), MEAN_FIELD_SD_LIMIT, False),
    "NumPyro AutoNormal": System(numpyro(AutoNormal), MEAN_FIELD_SD_LIMIT, True),
    "NumPyro AutoMVN": System(numpyro(AutoMultivariateNormal), SD_LIMIT, True),
    "BlackJAX mean-field": System(blackjax_mean_field, MEAN_FIELD_SD_LIMIT, True),
    "BlackJAX Pathfinder": System(blackjax_pathfinder, SD_LIMIT, False),
    "PyMC ADVI": System(pymc, MEAN_FIELD_SD_LIMIT, True),
}
