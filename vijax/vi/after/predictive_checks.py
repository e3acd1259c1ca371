"""Could the model have made these data? Statistics of theirs and of replications."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi.after.pointwise import observed_sites, require_observations
from vijax.vi.after.posterior_draws import unknowns
from vijax.vi.after.prediction import predict
from vijax.vi.engine.precision import own_precision
from vijax.vi.result import Fit

Statistic = Callable[[Any], Any]
STATISTICS: dict[str, Statistic] = {
    "mean": np.mean,
    "sd": np.std,
    "min": np.min,
    "max": np.max,
}
EXTREME = 0.025  # probability on either side


class CheckedStatistic(NamedTuple):
    """A statistic of the data and of their replications."""

    observed: float
    replicated: np.ndarray  # (draws,)
    p_value: float  # P(replicated > observed) + ½ P(equal): near 0 or 1 is odd
    p_value_se: float


class PredictiveCheck(dict[str, CheckedStatistic]):
    """Statistics by name, "y: mean" for that of site y; prints as a table."""

    source: str = ""
    trusted: bool = False  # whether the draws stand for the posterior
    advice: str = ""

    @property
    def extreme(self) -> tuple[str, ...]:
        """Names of the statistics that few replications reach."""
        return tuple(
            name
            for name, found in self.items()
            if not EXTREME <= found.p_value <= 1 - EXTREME
        )

    def __str__(self) -> str:
        width = max([9, *map(len, self)])
        head = f"{'':<{width}} {'observed':>12} {'5 %':>12} {'95 %':>12} {'p':>8}"
        lines = []
        for name, found in self.items():
            low, high = np.quantile(found.replicated, (0.05, 0.95))
            lines.append(
                f"{name:<{width}} {found.observed:>12.5g} {low:>12.5g} {high:>12.5g} "
                f"{found.p_value:>8.3f} ± {found.p_value_se:.2g}"
            )
        return "\n".join([head, *lines, self.advice])

    __repr__ = __str__


@own_precision
def posterior_predictive_check(
    fit: Fit,
    key: Key,
    statistic: str | Statistic | Mapping[str, Statistic] | None = None,
    *,
    num_samples: int = 1000,
    draws: str = "auto",
) -> PredictiveCheck:
    r"""Compare statistics of the data with those of replications from the posterior.

        p = P(T(y_rep) > T(y)) + ½ P(T(y_rep) = T(y)),  y_rep ~ p(y_rep | y)

    The data are used twice, so that p is nearer to ½ than a p-value would be. An
    extreme one is a fault of the model, one near ½ no proof of its absence. Best are
    statistics that no unknown of the model is fitted to.

    Args:
        fit: of a target of `vi.from_numpyro`.
        key: random key.
        statistic: a name of "mean", "sd", "min", "max"; a function of an array of data
            that returns one number; several of these by name; all four by default.
        num_samples: replications.
        draws: where θ comes from, as in `vi.predict`.

    Returns:
        By "site: statistic" the observed and the replicated values, and p with its
        standard error. Masked observations are left out, the others then in one row.

    Raises:
        ValueError: an unknown name; a statistic that is not one number, or not finite
            for the data; as `vi.predict` and `vi.log_likelihood`; inside a trace.

    References:
        Gelman, Meng & Stern (1996), Statistica Sinica 6.

    Example:
        >>> import jax, jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> y = jnp.array([-0.5, 0.0, 0.3, 0.1, 9.0])
        >>> fit = vi.fit(vi.from_numpyro(model, y), jax.random.key(0))
        >>> found = posterior_predictive_check(fit, jax.random.key(1))
        >>> found.extreme
        ('y: sd', 'y: max')
    """
    check(num_samples >= 2, "num_samples", num_samples, "give at least 2")
    if is_traced(fit.status, key):
        raise ValueError(
            "vi.posterior_predictive_check is for one fit, outside of jit and vmap"
        )
    statistics = _statistics(statistic)
    names = require_observations(fit, "vi.posterior_predictive_check")
    found = predict(fit, key, num_samples=num_samples, draws=draws)
    values = unknowns(fit.target, found)
    table = PredictiveCheck()
    for site, data in observed_sites(fit.target, values, names).items():
        mask, observed = np.asarray(data.mask), np.asarray(data.value, float)
        replicated = np.asarray(found[site], float)
        if not mask.all():
            observed, replicated = observed[mask], replicated[:, mask]
        for name, function in statistics.items():
            size = found.effective_sample_size
            label = f"{site}: {name}"
            table[label] = _checked(label, function, observed, replicated, size)
    table.source, table.trusted = found.source, bool(found.trusted)
    table.advice = _advise(table, found.advice)
    return table


def _statistics(
    given: str | Statistic | Mapping[str, Statistic] | None,
) -> dict[str, Statistic]:
    if given is None:
        return STATISTICS
    if isinstance(given, str):
        if given not in STATISTICS:
            raise ValueError(
                f"statistic = {given!r} is not one of {tuple(STATISTICS)}; give one of "
                "these, or a function of an array"
            )
        return {given: STATISTICS[given]}
    if isinstance(given, Mapping):
        return dict(given)
    return {getattr(given, "__name__", "statistic"): given}


def _checked(
    name: str, function: Statistic, observed: Any, replicated: Any, size: float
) -> CheckedStatistic:
    of_data = _number(name, function(observed))
    if not np.isfinite(of_data):
        raise ValueError(f"statistic {name!r} is {of_data} for the data: give another")
    of_draws = np.array([_number(name, function(y)) for y in replicated])
    p = float(np.mean(of_draws > of_data) + 0.5 * np.mean(of_draws == of_data))
    # Where all or none are larger there is an error, too.
    shrunk = (p * size + 1) / (size + 2)
    error = float(np.sqrt(shrunk * (1 - shrunk) / size))
    return CheckedStatistic(of_data, of_draws, p, error)


def _number(name: str, value: Any) -> float:
    if np.shape(value) != ():
        raise ValueError(
            f"statistic {name!r} is not valid: it has shape {np.shape(value)}; return "
            "one number"
        )
    return float(value)


def _advise(table: PredictiveCheck, advice: str) -> str:
    if not table.trusted:
        return f"The draws are not those of the posterior. {advice}"
    if table.extreme:
        return (
            f"The model does not make data like these: {', '.join(table.extreme)}; "
            "change its likelihood, or look at the observations there."
        )
    return "No statistic is extreme; that is no proof of the model."
