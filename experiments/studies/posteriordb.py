"""Twenty posteriors of posteriordb as NumPyro models, with what is known of each.

posteriordb (https://github.com/stan-dev/posteriordb, BSD-3) holds models, data and
long reference runs. `load` takes a clone of it, or a folder with its files as
`data/<data>.json.zip` and `draws/<data>-<model>.json.zip`. Parameters without a prior
are flat; the eleven regressions that are flat in everything have an exact posterior,
see flat_regression.py.
"""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from experiments.studies.flat_regression import exact_moments

Data = dict[str, Any]
VARIABLE = "VIJAX_POSTERIORDB"  # of the environment: the folder
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "posteriordb"
LAYOUTS = {  # here, in a clone
    "data": ("data", "posterior_database/data/data"),
    "draws": ("draws", "posterior_database/reference_posteriors/draws/draws"),
}


class Posterior(NamedTuple):
    """A model, its arguments, and the true moments of its parameters."""

    name: str
    model: Callable[..., None]
    arguments: tuple[Any, ...]
    parameters: tuple[str, ...]  # beta[1], …, sigma, in posteriordb's names
    mean: np.ndarray  # (parameters,)
    sd: np.ndarray
    exact: bool  # moments from a formula, not from draws
    draws: np.ndarray  # (draws, parameters), ten chains of the reference end to end


def flat(size: tuple[int, ...] = (), support: Any = constraints.real) -> Any:
    """Return the improper prior with density 1."""
    return dist.ImproperUniform(support, (), size)


def flat_regression(features: Any, targets: Any) -> None:
    """Regression y ~ N(X β, σ), flat in β and in σ > 0."""
    beta = numpyro.sample("beta", flat((features.shape[1],)))
    sigma = numpyro.sample("sigma", flat((), constraints.positive))
    numpyro.sample("y", dist.Normal(features @ beta, sigma), obs=targets)


def cauchy_regression(features: Any, targets: Any) -> None:
    """Regression y ~ N(X β, σ), flat in β, σ ~ half-Cauchy(2.5)."""
    beta = numpyro.sample("beta", flat((features.shape[1],)))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(features @ beta, sigma), obs=targets)


def normal_regression(features: Any, targets: Any) -> None:
    """Regression y ~ N(X β, σ), β ~ N(0, 10), σ ~ half-normal(10)."""
    prior = dist.Normal(0.0, 10.0).expand([features.shape[1]]).to_event(1)
    beta = numpyro.sample("beta", prior)
    sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
    numpyro.sample("y", dist.Normal(features @ beta, sigma), obs=targets)


def kilpisjarvi(x: Any, y: Any, alpha_prior: Any, beta_prior: Any) -> None:
    """Trend y ~ N(α + β x, σ) of yearly temperatures, x the year."""
    alpha = numpyro.sample("alpha", alpha_prior)
    beta = numpyro.sample("beta", beta_prior)
    sigma = numpyro.sample("sigma", flat((), constraints.positive))
    numpyro.sample("y", dist.Normal(alpha + beta * x, sigma), obs=y)


def autoregression(lags: Any, y: Any) -> None:
    """Autoregression y_t ~ N(α + Σ_k β_k y_{t−k}, σ); lags are (times, K)."""
    alpha = numpyro.sample("alpha", dist.Normal(0.0, 10.0))
    prior = dist.Normal(0.0, 10.0).expand([lags.shape[1]]).to_event(1)
    beta = numpyro.sample("beta", prior)
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(alpha + lags @ beta, sigma), obs=y)


def arma(y: Any) -> None:
    """ARMA(1, 1): ν_t = μ + φ y_{t−1} + θ ε_{t−1}, ε_t = y_t − ν_t ~ N(0, σ)."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
    phi = numpyro.sample("phi", dist.Normal(0.0, 2.0))
    theta = numpyro.sample("theta", dist.Normal(0.0, 2.0))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))

    def step(error: Any, pair: Any) -> tuple[Any, Any]:
        before, now = pair
        error = now - (mu + phi * before + theta * error)
        return error, error

    first = y[0] - (mu + phi * mu)
    _, rest = jax.lax.scan(step, first, (y[:-1], y[1:]))
    errors = jnp.append(first, rest)
    numpyro.factor("likelihood", dist.Normal(0.0, sigma).log_prob(errors).sum())


def eight_schools(y: Any, sigma: Any) -> None:
    """θ_j = μ + τ η_j (non-centred), y_j ~ N(θ_j, σ_j)."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    eta = numpyro.sample("eta", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1))
    theta = numpyro.deterministic("theta", mu + tau * eta)
    numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def eight_schools_centered(y: Any, sigma: Any) -> None:
    """θ_j ~ N(μ, τ): the same posterior with a funnel in it."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([len(y)]).to_event(1))
    numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def gaussian_process(x: Any, y: Any) -> None:
    """Gaussian process y ~ N(0, α² exp(−(x − x')² / 2ρ²) + σ I)."""
    rho = numpyro.sample("rho", dist.Gamma(25.0, 4.0))
    alpha = numpyro.sample("alpha", dist.HalfNormal(2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    distance = (x[:, None] - x) / rho
    covariance = alpha**2 * jnp.exp(-0.5 * distance**2) + sigma * jnp.eye(len(x))
    numpyro.sample("y", dist.MultivariateNormal(0.0, covariance), obs=y)


def _design(*columns: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(columns[0])), *columns])


def _earnings(columns: Callable[[Data], Any], log: Any) -> Callable[[Data], Any]:
    return lambda d: (_design(*columns(d)), log(d["earn"]))


def _nes(d: Data) -> tuple[np.ndarray, np.ndarray]:
    ages = [(d["age_discrete"] == age).astype(float) for age in (2, 3, 4)]
    columns = (
        d["real_ideo"],
        d["race_adj"],
        *ages,
        d["educ1"],
        d["gender"],
        d["income"],
    )
    return _design(*columns), d["partyid7"]


def _interaction(d: Data) -> tuple[np.ndarray, np.ndarray]:
    hs, iq = (d[name] - d[name].mean() for name in ("mom_hs", "mom_iq"))
    return _design(hs, iq, hs * iq), d["kid_score"]


def _interaction_z(d: Data) -> tuple[np.ndarray, np.ndarray]:
    z = (d["height"] - d["height"].mean()) / d["height"].std(ddof=1)
    return _design(z, d["male"], z * d["male"]), np.log(d["earn"])


def _work(d: Data) -> tuple[np.ndarray, np.ndarray]:
    columns = [(d["mom_work"] == level).astype(float) for level in (2, 3, 4)]
    return _design(*columns), d["kid_score"]


def _mesquite(d: Data) -> tuple[np.ndarray, np.ndarray]:
    names = ("diam1", "diam2", "canopy_height", "total_height", "density", "group")
    return _design(*(d[name] for name in names)), d["weight"]


def _log_mesquite(d: Data) -> tuple[np.ndarray, np.ndarray]:
    area = d["diam1"] * d["diam2"]
    volume = area * d["canopy_height"]
    return _design(np.log(volume), np.log(area), d["group"]), np.log(d["weight"])


def _kidiq(*names: str) -> Callable[[Data], Any]:
    return lambda d: (_design(*(d[name] for name in names)), d["kid_score"])


def _lags(d: Data) -> tuple[np.ndarray, np.ndarray]:
    order, y = int(d["K"]), d["y"]
    columns = [y[order - k : len(y) - k] for k in range(1, order + 1)]
    return np.column_stack(columns), y[order:]


def _kilpisjarvi(d: Data) -> tuple[Any, ...]:
    priors = (
        dist.Normal(float(d[f"pmu{name}"]), float(d[f"ps{name}"]))
        for name in ("alpha", "beta")
    )
    return d["x"], d["y"], *priors


def _height(d: Data) -> tuple[np.ndarray, ...]:
    return (d["height"],)


def _height_male(d: Data) -> tuple[np.ndarray, ...]:
    return d["height"], d["male"]


KID, SCHOOLS = "kidiq_with_mom_work", "eight_schools-eight_schools_noncentered"
# name -> (model, data -> its arguments)
MODELS: dict[str, tuple[Callable[..., None], Callable[[Data], tuple[Any, ...]]]] = {
    "earnings-earn_height": (flat_regression, _earnings(_height, np.array)),
    "earnings-log10earn_height": (flat_regression, _earnings(_height, np.log10)),
    "earnings-logearn_height": (flat_regression, _earnings(_height, np.log)),
    "earnings-logearn_height_male": (flat_regression, _earnings(_height_male, np.log)),
    "earnings-logearn_interaction_z": (flat_regression, _interaction_z),
    f"{KID}-kidscore_interaction_c": (flat_regression, _interaction),
    f"{KID}-kidscore_mom_work": (flat_regression, _work),
    "mesquite-mesquite": (flat_regression, _mesquite),
    "mesquite-logmesquite_logva": (flat_regression, _log_mesquite),
    "nes1988-nes": (flat_regression, _nes),
    "nes2000-nes": (flat_regression, _nes),
    "kidiq-kidscore_momhs": (cauchy_regression, _kidiq("mom_hs")),
    "kidiq-kidscore_momiq": (cauchy_regression, _kidiq("mom_iq")),
    "kidiq-kidscore_momhsiq": (cauchy_regression, _kidiq("mom_hs", "mom_iq")),
    "sblrc-blr": (normal_regression, lambda d: (d["X"], d["y"])),
    "kilpisjarvi_mod-kilpisjarvi": (kilpisjarvi, _kilpisjarvi),
    "arK-arK": (autoregression, _lags),
    SCHOOLS: (eight_schools, lambda d: (d["y"], d["sigma"])),
    "arma-arma11": (arma, lambda d: (d["y"],)),
    "gp_pois_regr-gp_regr": (gaussian_process, lambda d: (d["x"], d["y"])),
}
# The same posterior and the same draws, with a funnel in it that no normal q can fit.
CENTERED = "eight_schools-eight_schools_centered"
NAMES = tuple(MODELS)
MODELS[CENTERED] = (eight_schools_centered, MODELS[SCHOOLS][1])
FLAT = tuple(name for name, (model, _) in MODELS.items() if model is flat_regression)


def is_there(given: Path | None = None) -> bool:
    """Say whether the files are where `find_folder` looks."""
    folder = _folder(given)
    return any((folder / place).is_dir() for place in LAYOUTS["data"])


def find_folder(given: Path | None = None) -> Path:
    """Return the folder of the files: as given, of the environment, or beside us."""
    folder = _folder(given)
    if not is_there(folder):
        raise FileNotFoundError(
            f"posteriordb is not at {folder}: git clone "
            "https://github.com/stan-dev/posteriordb and give the clone with --folder "
            f"or in the environment variable {VARIABLE}"
        )
    return folder


def _folder(given: Path | None) -> Path:
    named = os.environ.get(VARIABLE)
    return given or (Path(named) if named else BESIDE)


def load(folder: Path, name: str) -> Posterior:
    """Read one posterior's data and reference draws."""
    if name not in MODELS:
        raise ValueError(f"posterior = {name!r} is not one of {', '.join(MODELS)}")
    model, arguments_of = MODELS[name]
    data = {
        key: np.asarray(value, float)
        for key, value in _read(folder, "data", name.split("-")[0]).items()
    }
    chains = _read(folder, "draws", SCHOOLS if name == CENTERED else name)
    parameters = tuple(chains[0])
    columns = [np.concatenate([chain[key] for chain in chains]) for key in parameters]
    draws = np.column_stack(columns)
    arguments = arguments_of(data)
    exact = name in FLAT
    mean, sd = (
        exact_moments(*arguments) if exact else (draws.mean(0), draws.std(0, ddof=1))
    )
    return Posterior(name, model, arguments, parameters, mean, sd, exact, draws)


def flatten(values: dict[str, Any], parameters: tuple[str, ...]) -> np.ndarray:
    """Return values of the named parameters, (…, parameters), from arrays by site."""
    columns = []
    for parameter in parameters:
        site, _, index = parameter.partition("[")
        value = np.asarray(values[site])
        columns.append(value[..., int(index[:-1]) - 1] if index else value)
    return np.stack(columns, axis=-1)


def _read(folder: Path, kind: str, stem: str) -> Any:
    paths = [folder / place / f"{stem}.json.zip" for place in LAYOUTS[kind]]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"{paths[0]} is missing: give the folder of posteriordb's data and draws"
        )
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(archive.namelist()[0]))
