"""The log likelihood of each observation at draws of the posterior."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check
from vijax.vi.after.posterior_draws import posterior_draws
from vijax.vi.after.refusals import check_same_model, require_no_discrete
from vijax.vi.after.site_draws import SiteDraws
from vijax.vi.engine.batched_density import in_batches
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import own_precision
from vijax.vi.result import Fit
from vijax.vi.targets.models.replay import require_model
from vijax.vi.targets.models.scan_steps import first_in_steps, in_steps
from vijax.vi.targets.models.site_densities import Observed, observations
from vijax.vi.targets.target import Target

MAX_BATCH = 2**23  # numbers that one batch of draws may hold
MAX_NUMBERS = 2**28  # draws times observations, that are held at once


class Data(NamedTuple):
    """The observations of a fit, site after site, masked ones left out."""

    names: tuple[str, ...]  # of each observation: "y[0]", "y[1]"
    values: np.ndarray  # rounded to float32, in which every fit knows them
    discrete: tuple[bool, ...]  # of each site


@own_precision
def log_likelihood(
    fit: Fit, key: Key, num_samples: int = 1000, *, draws: str = "auto"
) -> SiteDraws:
    r"""Return log p(y_i | θ_s) of every observation at draws of the posterior, in nats.

    An observation is an entry of a site's log density: a scalar, or the vector that a
    multivariate distribution is of. Of a model that subsamples its rows they are those
    of all rows. Masked observations have 0. `numpyro.factor` is not among them.

    Args:
        fit: of a target of `vi.from_numpyro`.
        key: random key.
        num_samples: number of draws.
        draws: where θ comes from, as in `vi.predict`.

    Returns:
        A dict of observed site -> (draws, *observations), which says its `source`, and
        whether it is `trusted`.

    Raises:
        ValueError: for a target of `from_log_density`, a model without observed sites,
            with discrete unknowns that are summed out, with several subsampled plates,
            or with a scaled likelihood; a model that has changed since the fit; fewer
            than 1 sample; more numbers than memory holds; as `vi.predict` for `draws`.

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> fit = vi.fit(vi.from_numpyro(model, jnp.ones(5)), jax.random.key(0))
        >>> log_likelihood(fit, jax.random.key(1), 200)["y"].shape
        (200, 5)
    """
    check(num_samples >= 1, "num_samples", num_samples, "give at least 1")
    require_observations(fit, "vi.log_likelihood")
    draw_key = jax.random.split(key, 3)[0]  # as vi.predict: the same draws
    posterior = posterior_draws(fit, draw_key, num_samples, draws)
    return SiteDraws.of(pointwise(fit.target, posterior.values), posterior)


def require_observations(fit: Fit, purpose: str) -> tuple[str, ...]:
    """Return the observed sites' names, in the model's order.

    Raises:
        ValueError: the fit's observations are not known one by one.
    """
    require_model(fit.target, purpose)
    require_no_discrete(fit, purpose)
    seen = check_same_model(fit.target)
    names = tuple(name for name, site in seen.items() if site.is_observed)
    if not names:
        raise ValueError(
            f"fit is of {fit.target}, a model without an observed site, for which "
            f"{purpose} is not known: give the data as obs= of a numpyro.sample"
        )
    return names


def pointwise(target: Target, values: dict[str, Array]) -> dict[str, Array]:
    """Return the log likelihood of each observation, draws first.

    Args:
        target: of a NumPyro model.
        values: draws of the unknowns, draws first.
    """
    backwards = target.static.backwards
    shapes: dict[str, Any] = {}

    def look(values: dict[str, Array]) -> None:
        shapes.update(_log_probs(target, values))

    jax.eval_shape(look, first_in_steps(backwards, values))
    numbers = sum(shape.size for shape in shapes.values())
    num_draws = len(next(iter(values.values())))
    check(
        num_draws * numbers <= MAX_NUMBERS,
        "num_samples",
        num_draws,
        f"of {numbers} observations at most {MAX_NUMBERS // max(1, numbers)} draws are "
        "held at once",
    )
    batch_size = max(1, MAX_BATCH // max(1, numbers))
    known = in_steps(backwards, values)
    found = _pointwise(target, known, min(batch_size, num_draws))
    return {name: found[name] for name in shapes}  # in the model's order


def _log_probs(target: Target, values: dict[str, Array]) -> dict[str, Array]:
    found = observations(target, values)
    return {name: observed.log_prob for name, observed in found.items()}


@partial(density_jit, static_argnums=2)
def _pointwise(
    target: Target, values: dict[str, Array], batch_size: int
) -> dict[str, Array]:
    return in_batches(lambda x: _log_probs(target, x), values, batch_size)


def observed_sites(
    target: Target, values: dict[str, Array], names: Sequence[str]
) -> dict[str, Observed]:
    """Return the observations of a fit by site.

    Args:
        target: of a NumPyro model.
        values: draws of the unknowns, draws first; the first is used.
        names: of the observed sites, in the model's order.
    """
    found = _observed(target, first_in_steps(target.static.backwards, values))
    return {name: found[name] for name in names}


# Compiled, for the loops of a model that runs as it is compile anew at each call.
@density_jit
def _observed(target: Target, values: dict[str, Array]) -> dict[str, Observed]:
    return observations(target, values)


def observed_data(sites: dict[str, Observed]) -> tuple[Data, dict[str, np.ndarray]]:
    """Return the observations one after the other, and by site which are not masked."""
    names: list[str] = []
    numbers, kept, discrete = [], {}, []
    for name, observed in sites.items():
        mask = np.asarray(observed.mask)
        kept[name] = mask
        labels = [
            f"{name}[{', '.join(map(str, index))}]" if index else name
            for index in np.ndindex(*mask.shape)
            if mask[index]
        ]
        names += labels
        value = np.asarray(observed.value)
        numbers.append(np.ravel(value[mask]).astype(np.float32))
        discrete.append(bool(observed.is_discrete))
    return Data(tuple(names), np.concatenate(numbers), tuple(discrete)), kept


def as_columns(log_probs: dict[str, Array], kept: Any) -> np.ndarray:
    """Return (draws, observations), site after site, without masked ones."""
    columns = []
    for name, mask in kept.items():
        flat = np.asarray(log_probs[name])
        flat = np.reshape(flat, (len(flat), -1))
        columns.append(flat if np.all(mask) else flat[:, np.ravel(mask)])
    return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
