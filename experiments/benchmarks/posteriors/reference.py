"""References: long NUTS in float64, or exact moments, written beside the models.

    python -m experiments.benchmarks.posteriors.reference [--names NAMES] [--again]

NUTS runs four chains in blocks of 5,000 draws each, until every site's mean and square
have 2,000 effective draws and errors below 0.025 sd. Where it diverges it is taken
again with smaller steps. What was reached is stored with the numbers: settings, the
worst R-hat, the least effective sample size, divergences. A model that is hard for NUTS
names a twin with the same posterior, or exact moments; one with equal modes is run in
one and mirrored to all. Changed data are noticed, a changed prior is not: say --again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from numpyro import handlers
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.distributions import biject_to
from numpyro.infer import MCMC, NUTS, init_to_feasible
from numpyro.infer.reparam import LocScaleReparam

from experiments.benchmarks.posteriors import moments as stored
from experiments.benchmarks.posteriors.collection import SPECIFICATIONS
from experiments.benchmarks.posteriors.moments import Moments
from experiments.benchmarks.posteriors.quadrature import grid_moments
from experiments.benchmarks.posteriors.registry import Draws, Problem, Specification

CHAINS, WARMUP, BLOCK, BLOCKS = 4, 2000, 5000, 32
ENOUGH = 2000  # effective draws, of a mean and of a square
PRECISE = 0.025  # standard error of a mean and of an sd, in sds
ACCEPT = (0.9, 0.99, 0.998)  # target acceptance, the next one where NUTS diverged
DENSE = 60  # unknowns, up to which the mass matrix is dense


@dataclass(frozen=True)
class Config:
    """Which references to take."""

    names: tuple[str, ...] = ()  # all by default
    again: bool = False  # also those that are there and fit the data
    seed: int = 0


Images = Callable[[Draws], list[Draws]]


class Run(NamedTuple):
    """Draws of NUTS and what is known of them."""

    images: list[Draws]
    accept: float
    divergences: int
    least_ess: float
    worst_rhat: float


class Unknown(NamedTuple):
    """A site of a model, as NumPyro sees it."""

    shape: tuple[int, ...]  # constrained
    unknowns: int  # real numbers that it has


def sites_of(problem: Problem) -> dict[str, Unknown]:
    """Return the continuous unknowns of a model."""
    model, arguments = problem
    found: dict[str, Unknown] = {}

    def look(key: Any) -> None:
        # Not a draw of the prior, which an improper one does not have.
        seeded = handlers.seed(model, key)
        started = handlers.substitute(seeded, substitute_fn=init_to_feasible)
        for name, site in handlers.trace(started).get_trace(*arguments).items():
            unknown = site["type"] == "sample" and not site["is_observed"]
            if unknown and not site["fn"].support.is_discrete:
                shape = jnp.shape(site["value"])
                free = biject_to(site["fn"].support).inverse_shape(shape)
                found[name] = Unknown(shape, int(np.prod(free)))

    jax.eval_shape(look, jax.random.key(0))
    return found


def moments_of(images: list[np.ndarray]) -> tuple[Moments, float]:
    """Return moments of draws in all their images, and the least effective size.

    The images of a draw are not independent: their mean is one number a draw, and so is
    their mean square, whose effective sizes count.
    """
    first = np.mean(images, axis=0)
    mean = first.mean((0, 1))
    second = np.mean([(image - mean) ** 2 for image in images], axis=0)
    sd = np.sqrt(second.mean((0, 1)))
    (mean_se, mean_ess), (square_se, square_ess) = map(_error, (first, second))
    with np.errstate(divide="ignore", invalid="ignore"):
        sd_se = np.where(stored.varies(mean, sd), square_se / (2 * sd), 0.0)
    return Moments(mean, sd, mean_se, sd_se), min(mean_ess, square_ess)


def _error(draws: np.ndarray) -> tuple[np.ndarray, float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(_varies(draws), effective_sample_size(draws), np.inf)
    return draws.std((0, 1)) / np.sqrt(size), float(size.min())


def _varies(draws: np.ndarray) -> Any:
    return stored.varies(draws.mean((0, 1)), draws.std((0, 1)))


def run_nuts(
    problem: Problem,
    names: list[str],
    images: Images,
    *,
    heavy: tuple[str, ...] = (),
    seed: int,
    accept: float,
) -> Run:
    """Run NUTS in blocks until there are enough effective draws.

    Sites without a variance, `heavy`, are judged by the ranks of their draws.
    """
    model, arguments = problem
    unknowns = sum(site.unknowns for site in sites_of(problem).values())
    kernel = NUTS(model, target_accept_prob=accept, dense_mass=unknowns <= DENSE)
    mcmc = MCMC(
        kernel,
        num_warmup=WARMUP,
        num_samples=BLOCK,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    draws: Draws = {}
    divergences, size, key = 0, 0.0, jax.random.key(seed)
    for _ in range(BLOCKS):
        mcmc.run(key, *arguments, extra_fields=("diverging",))
        mcmc.post_warmup_state = mcmc.last_state
        key = mcmc.post_warmup_state.rng_key
        divergences += int(mcmc.get_extra_fields()["diverging"].sum())
        samples = mcmc.get_samples(group_by_chain=True)
        block = {name: np.asarray(samples[name]) for name in names}
        draws = {
            name: np.concatenate([draws[name], block[name]], axis=1) if draws else value
            for name, value in block.items()
        }
        copies = images(draws)
        judged = [
            [_ranks(copy[name]) if name in heavy else copy[name] for copy in copies]
            for name in names
        ]
        found = [moments_of(site) for site in judged]
        size = min(least for _, least in found)
        error = max(_relative_error(moments) for moments, _ in found)
        in_vain = divergences > 0 and accept < ACCEPT[-1]
        if (size >= ENOUGH and error < PRECISE) or in_vain:
            break
    rhat = max(worst_rhat(site) for site in judged)
    return Run(copies, accept, divergences, size, rhat)


def _relative_error(moments: Moments) -> float:
    vary = stored.varies(moments.mean, moments.sd)
    errors = np.maximum(moments.mean_se, moments.sd_se)[vary] / moments.sd[vary]
    return float(errors.max(initial=0.0))


def _ranks(draws: np.ndarray) -> np.ndarray:
    """Return each entry's ranks over chains and draws, in (0, 1]."""
    flat = draws.reshape(-1, *draws.shape[2:])
    order = np.argsort(np.argsort(flat, axis=0), axis=0)
    return ((order + 1.0) / len(flat)).reshape(draws.shape)


def worst_rhat(images: list[np.ndarray]) -> float:
    """Return the worst split R-hat of the entries and of their squares."""
    worst = 1.0
    for power in (1, 2):
        draws = np.mean([image**power for image in images], axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            rhat = np.where(_varies(draws), split_gelman_rubin(draws), 1.0)
        worst = max(worst, float(rhat.max()))
    return worst


def take(specification: Specification, seed: int = 0) -> dict[str, Any]:
    """Return the record of one model's reference, as it is stored."""
    problem = specification.problem()
    names = list(sites_of(problem))
    about: dict[str, Any] = {"data": stored.fingerprint(problem[1])}
    if specification.exact:
        found = {
            name: Moments(*map(np.asarray, (mean, sd)), *[np.zeros(np.shape(mean))] * 2)
            for name, (mean, sd) in specification.exact(*problem[1]).items()
        }
        about |= {"method": f"exact: {_first_line(specification.exact)}"}
    elif specification.axes:
        found = grid_moments(problem, specification.axes())
        about |= {"method": "quadrature"}
    else:
        found, more = _by_nuts(specification, names, seed)
        about |= more
    for name in names:
        nan = np.full_like(found[name].mean, np.nan, dtype=float)
        if name in specification.no_moments:
            found[name] = Moments(nan, nan, nan, nan)
        elif name in specification.no_sd:
            found[name] = found[name]._replace(sd=nan, sd_se=nan)
    return about | {"sites": {name: stored.to_json(found[name]) for name in names}}


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").split("\n")[0]


def _by_nuts(
    specification: Specification, names: list[str], seed: int
) -> tuple[dict[str, Moments], dict[str, Any]]:
    model, arguments = (specification.twin or specification.problem)()
    method = "NUTS, float64"
    if specification.twin or specification.decentre:
        method += ", of the same posterior written for it"
    if specification.decentre:
        sites = {site: LocScaleReparam(0) for site in specification.decentre}
        model = handlers.reparam(model, config=sites)
    if specification.images:
        method += ", mirrored to all equal modes"
    images = specification.images or (lambda draws: [draws])
    heavy = specification.no_sd + specification.no_moments
    for accept in ACCEPT:
        run = run_nuts(
            (model, arguments), names, images, heavy=heavy, seed=seed, accept=accept
        )
        if not run.divergences:
            break
    found = {name: moments_of([copy[name] for copy in run.images])[0] for name in names}
    about = {
        "method": method,
        "chains": CHAINS,
        "warmup": WARMUP,
        "draws": run.images[0][names[0]].shape[1],
        "accept": run.accept,
        "divergences": run.divergences,
        "rhat": round(run.worst_rhat, 5),
        "ess": round(run.least_ess),
    }
    return found, about


def main(config: Config) -> None:
    """Take the references that are missing, and store each as it comes."""
    for name in config.names or tuple(SPECIFICATIONS):
        specification = SPECIFICATIONS[name]
        kind, data = specification.kind, stored.fingerprint(specification.problem()[1])
        there = stored.read(kind).get(name, {}).get("data") == data
        if specification.undecided or (there and not config.again):
            continue
        start = time.perf_counter()
        record = take(specification, config.seed)
        stored.write(kind, stored.read(kind) | {name: record})
        shown = {key: value for key, value in record.items() if key != "sites"}
        print(f"{name}: {time.perf_counter() - start:.0f} s, {shown}", flush=True)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main(tyro.cli(Config))
