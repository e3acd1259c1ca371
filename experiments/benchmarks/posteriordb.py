"""Seconds to the right answer on twenty posteriors: vijax beside its peers.

From the call, compilation included, until all means are within 0.1 sd and all sds
within 5 % of the truth (10 % for mean-field families); defaults of each system. vijax
and Pathfinder stop by themselves; the others, which have no stop rule that is on by
default, are given 1000 steps, then 10,000 where that was not enough, and pay only for
the run that arrived. NumPyro and BlackJAX have no default optimiser: Adam, 0.01.
vijax's answer is the one that its verdict tells to use; none where it tells to use
none. An answer that is not right is a failure, whatever it cost.

    python -m experiments.benchmarks.posteriordb [--folder FOLDER] [--posteriors NAMES]
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from numpyro.optim import Adam

from experiments import common, posteriordb
from experiments.benchmarks import posteriordb_pymc
from vijax import vi

STEPS = (1000, 10_000)
NUM_DRAWS = 10_000
MEAN_LIMIT, SD_LIMIT, MEAN_FIELD_SD_LIMIT = 0.1, 0.05, 0.10
Posterior = posteriordb.Posterior
Moments = tuple[np.ndarray, np.ndarray]  # means and sds of the parameters


@dataclass(frozen=True)
class Config:
    """Which posteriors, and what a fit may cost."""

    posteriors: tuple[str, ...] = posteriordb.NAMES  # by posteriordb's names
    cap: float = 20.0  # seconds: after a run that took a fifth, no tenfold one
    folder: Path | None = None  # of posteriordb; by default $VIJAX_POSTERIORDB
    seed: int = 0


def vijax(posterior: Posterior, seed: int, steps: int) -> Moments | None:
    """All defaults but the family, and the moments that the verdict tells to use."""
    target = vi.from_numpyro(posterior.model, *posterior.arguments)
    fit = vi.fit(target, jax.random.key(seed), family="full_rank")
    if not (fit.trusted or fit.correctable):
        return None
    table, prefix = vi.summary(fit), "" if fit.trusted else "corrected_"
    mean, sd = (
        {site: columns[f"{prefix}{moment}"] for site, columns in table.items()}
        for moment in ("mean", "sd")
    )
    flat = posteriordb.flatten
    return flat(mean, posterior.parameters), flat(sd, posterior.parameters)


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


# name -> (run, limit of the sds' errors, whether it is given more steps)
SYSTEMS: dict[str, tuple[Callable[..., Moments | None], float, bool]] = {
    "vijax full-rank": (vijax, SD_LIMIT, False),
    "NumPyro AutoNormal": (numpyro(AutoNormal), MEAN_FIELD_SD_LIMIT, True),
    "NumPyro AutoMVN": (numpyro(AutoMultivariateNormal), SD_LIMIT, True),
    "BlackJAX mean-field": (blackjax_mean_field, MEAN_FIELD_SD_LIMIT, True),
    "BlackJAX Pathfinder": (blackjax_pathfinder, SD_LIMIT, False),
    "PyMC ADVI": (pymc, MEAN_FIELD_SD_LIMIT, True),
}


def of_draws(draws: dict[str, Any], posterior: Posterior) -> Moments:
    """Return means and sds of the posterior's parameters."""
    flat = posteriordb.flatten(jax.tree.map(np.asarray, draws), posterior.parameters)
    flat = flat.astype(float)
    return flat.mean(axis=0), flat.std(axis=0)


def seconds_to_accuracy(
    posterior: Posterior, system: str, cap: float, seed: int
) -> tuple[float | None, str]:
    """Return the seconds of the run that arrived, or None and why not."""
    run, sd_limit, grows = SYSTEMS[system]
    reason = "gives no answer"
    for steps in STEPS if grows else STEPS[:1]:
        start = time.perf_counter()
        try:
            found = run(posterior, seed, steps)
        except (ValueError, RuntimeError, FloatingPointError) as error:
            return None, f"{type(error).__name__}"
        seconds = time.perf_counter() - start
        if found is None:
            break
        mean, sd = found
        mean_error = np.max(np.abs(mean - posterior.mean) / posterior.sd)
        sd_error = np.max(np.abs(sd / posterior.sd - 1))
        if mean_error < MEAN_LIMIT and sd_error < sd_limit:
            return seconds, ""
        reason = f"off by {mean_error:.2g} sd, {100 * sd_error:.0f} %"
        if seconds > cap / 5:
            break
    return None, reason


def run(config: Config) -> None:
    """Print a line a posterior, then medians with failures as infinite."""
    folder = posteriordb.find_folder(config.folder)
    warm_up = jnp.linalg.cholesky(jnp.eye(2))  # JAX's own start is nobody's fault
    jax.block_until_ready(warm_up)
    found: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    print((__doc__ or "").splitlines()[0])
    print(f"{'':26}" + "".join(f"{system:>28}" for system in SYSTEMS), flush=True)
    for name in config.posteriors:
        posterior = posteriordb.load(folder, name)
        cells = []
        for system in SYSTEMS:
            seconds, reason = seconds_to_accuracy(
                posterior, system, config.cap, config.seed
            )
            jax.clear_caches()  # every run is a first one
            found[system].append(np.inf if seconds is None else seconds)
            cells.append(f"{seconds:.2f} s" if seconds is not None else reason)
        short = name.partition("-")[2]
        print(f"{short:26}" + "".join(f"{c:>28}" for c in cells), flush=True)
    ours = median(found["vijax full-rank"])
    print(f"{'arrived':26}" + "".join(f"{_arrived(v):>28}" for v in found.values()))
    print(
        f"{'median of all, s':26}"
        + "".join(f"{median(v):28.2f}" for v in found.values())
    )
    print(
        f"{'ratio to vijax':26}"
        + "".join(f"{median(v) / ours:28.1f}" for v in found.values())
    )


def _arrived(seconds: list[float]) -> str:
    return f"{sum(np.isfinite(seconds))} of {len(seconds)}"


def main() -> None:
    """Run the benchmark from the command line."""
    with common.errors_in_one_line("posteriordb"):
        run(tyro.cli(Config, prog="python -m experiments.benchmarks.posteriordb"))


if __name__ == "__main__":
    main()
