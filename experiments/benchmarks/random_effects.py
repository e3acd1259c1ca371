r"""Many unknowns: the structured family beside NUTS, and beside the exact answer.

    python -m experiments.benchmarks.random_effects
    python -m experiments.benchmarks.random_effects --groups 100000 --nuts 0

Random effects with 1,000 and 10,000 groups of five rows, whose hyperparameters have a
closed marginal posterior, and a stochastic-volatility chain of 2,500 steps. Each line:
seconds of a first fit (a process's own, compilation included) and of a later one, peak
memory, and the worst error of the hyperparameters' means (in sds) and sds (relative).
The exact marginal: group means are N(mu, tau² + s²/5), the rest within groups is s² χ².
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

from vijax import vi

ROWS = 5  # of each group
STEPS = 2500  # of the chain
Moments = dict[str, tuple[float, float]]  # (mean, sd) by name


def random_effects(group: Any, y: Any, groups: int) -> None:
    """Non-centred group means, a likelihood outside of their plate."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfNormal(2.0))
    s = numpyro.sample("s", dist.HalfNormal(2.0))
    with numpyro.plate("groups", groups):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu + tau * z[group], s), obs=y)


def volatility(y: Any) -> None:
    """A stationary AR(1) of log variances h, and returns N(0, exp h)."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    phi = numpyro.sample("phi", dist.Beta(20.0, 1.5))
    sigma = numpyro.sample("sigma", dist.HalfNormal(0.5))
    flat = dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1).mask(False)
    h = numpyro.sample("h", flat)
    first = dist.Normal(mu, sigma / jnp.sqrt(1 - phi**2)).log_prob(h[0])
    rest = dist.Normal(mu + phi * (h[:-1] - mu), sigma).log_prob(h[1:])
    numpyro.factor("h_prior", first + jnp.sum(rest))
    numpyro.sample("y", dist.Normal(0.0, jnp.exp(0.5 * h)), obs=y)


def grouped_rows(groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's group and value: mu = 1, tau = 0.7, s = 1."""
    rng = np.random.default_rng(16)
    group = np.repeat(np.arange(groups), ROWS)
    y = (1 + 0.7 * rng.normal(size=groups))[group]
    return group, y + rng.normal(size=ROWS * groups)


def returns(steps: int = STEPS) -> np.ndarray:
    """Return a chain's data: mu = −1, phi = 0.97, sigma = 0.2."""
    rng = np.random.default_rng(18)
    h = np.empty(steps)
    h[0] = rng.normal(-1, 0.2 / np.sqrt(1 - 0.97**2))
    for t in range(1, steps):
        h[t] = -1 + 0.97 * (h[t - 1] + 1) + 0.2 * rng.normal()
    return np.exp(h / 2) * rng.normal(size=steps)


def exact_moments(y: np.ndarray, groups: int, points: int = 161) -> Moments:
    """Return the hyperparameters' exact moments, by quadrature over (tau, s)."""
    by_group = y.reshape(groups, ROWS)
    means = by_group.mean(1)
    rest = np.sum((by_group - means[:, None]) ** 2)
    spread, free = np.sum((means - means.mean()) ** 2), groups * (ROWS - 1)
    s_hat = np.sqrt(rest / free)
    tau_hat = np.sqrt(spread / groups - s_hat**2 / ROWS)
    width = (tau_hat**2 + s_hat**2 / ROWS) / tau_hat**2 / np.sqrt(2 * groups)
    grid = np.linspace(-8, 8, points)  # errors about the point estimates
    tau = tau_hat * np.exp(width * grid)[:, None]
    s = s_hat * np.exp(grid / np.sqrt(2 * free))[None, :]
    v = tau**2 + s**2 / ROWS
    precision = groups / v + 1 / 25
    mu = groups * means.mean() / v / precision
    log_p = np.log(tau) + np.log(s) - tau**2 / 8 - s**2 / 8
    log_p = log_p - 0.5 * rest / s**2 - free * np.log(s) - 0.5 * groups * np.log(v)
    log_p += -0.5 * (spread + groups * means.mean() ** 2) / v
    log_p += 0.5 * precision * mu**2 - 0.5 * np.log(precision)
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()

    def moments(x: np.ndarray, variance: Any = 0.0) -> tuple[float, float]:
        mean = np.sum(weights * x)
        square = np.sum(weights * ((x - mean) ** 2 + variance))
        return float(mean), float(np.sqrt(square))

    return {"mu": moments(mu, 1 / precision), "tau": moments(tau), "s": moments(s)}


def run_nuts(
    model: Callable[..., None], args: tuple[Any, ...], num_samples: int
) -> tuple[Moments, str]:
    """Return the moments of a NUTS chain, 500 steps of warm-up, and how it went."""
    start = time.perf_counter()
    sampler = MCMC(
        NUTS(model), num_warmup=500, num_samples=num_samples, progress_bar=False
    )
    sampler.run(jax.random.key(1), *args)
    draws = {k: np.asarray(v) for k, v in sampler.get_samples().items()}
    few = {name: x for name, x in draws.items() if x.ndim == 1}
    least = min(
        numpyro.diagnostics.effective_sample_size(x[None]) for x in few.values()
    )
    seconds = time.perf_counter() - start
    said = f"NUTS {seconds:8.1f} s, {least:.0f} effective samples of {num_samples}"
    return {name: (x.mean(), x.std()) for name, x in few.items()}, said


def errors(found: Moments, truth: Moments) -> str:
    """Return the worst error of a mean, in sds, and of an sd, as text."""
    means = [abs(found[k][0] - m) / sd for k, (m, sd) in truth.items()]
    sds = [abs(found[k][1] / sd - 1) for k, (_, sd) in truth.items()]
    return f"mean off by {max(means):.3f} sd, sd by {100 * max(sds):.1f} %"


def compare(
    name: str,
    model: Callable[..., None],
    args: tuple[Any, ...],
    truth: Moments | None,
    num_samples: int,
) -> None:
    """Print a line for the structured family, and one for NUTS."""
    target, seconds = vi.from_numpyro(model, *args), []
    for number in range(2):
        start = time.perf_counter()
        fit = vi.fit(target, jax.random.key(number), family="structured")
        jax.block_until_ready(fit.means)
        seconds.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    by_nuts, said = run_nuts(model, args, num_samples) if num_samples else ({}, "")
    truth = truth or by_nuts
    found = {
        site.name: (float(fit.means[place]), float(fit.sds[place]))
        for place, site in enumerate(target.static.sites)
        if site.name in truth
    }
    verdict = "trusted" if fit.trusted else fit.advice
    print(f"{name}: {target.dim} unknowns")
    print(
        f"  vijax {seconds[0]:.1f} s, later {seconds[1]:.1f} s, {memory:.2f} GB, ",
        end="",
    )
    print(f"{errors(found, truth)}; {verdict}")
    if by_nuts:
        print(f"  {said}, {errors(by_nuts, truth)}", flush=True)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--chain", type=int, choices=(0, 1), default=1)
    parser.add_argument("--nuts", type=int, default=1000, help="samples; 0 for none")
    options = parser.parse_args()
    for groups in options.groups:
        group, y = grouped_rows(groups)
        truth = exact_moments(y, groups)
        args = (group, y, groups)
        compare("random effects", random_effects, args, truth, options.nuts)
    if options.chain and options.nuts:
        compare("volatility", volatility, (returns(),), None, options.nuts)


if __name__ == "__main__":
    main()
