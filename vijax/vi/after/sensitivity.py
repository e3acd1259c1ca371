r"""How far the posterior hangs on the prior and on the likelihood, by power-scaling.

    p_α(θ | y) ∝ p(θ)^α p(y | θ)   or   p(θ) p(y | θ)^α,   α near 1

Draws of the posterior, weighed by p(θ)^(α − 1), are draws of the scaled one: no model
is fitted again. Where a weaker or stronger prior moves an unknown, and so does the
likelihood, the two disagree; where only the prior does, the data say little about it.

References:
    Kallioinen, Paananen, Bürkner & Vehtari (2024), Stat. Comput. 34, arXiv:2107.14054.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi.after.pointwise import require_observations
from vijax.vi.after.posterior_draws import (
    IMPORTANCE,
    Q,
    WeightedDraws,
    judge_weights,
    source_of,
    unknowns,
    weighted_draws,
)
from vijax.vi.after.reweighting import distances, shifts
from vijax.vi.after.standardised_effects import (
    questions,
    standardised,
    with_questions,
)
from vijax.vi.engine.batched_density import constrained_sites, in_batches
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import own_precision
from vijax.vi.importance_weights import psis
from vijax.vi.result import Fit
from vijax.vi.targets.models.scan_steps import first_in_steps, in_steps
from vijax.vi.targets.models.site_densities import (
    independent_sites,
    observations,
    site_log_probs,
)
from vijax.vi.targets.target import Target

POWER = 1.01  # α, and its inverse
SENSITIVE = 0.05  # of the distance per doubling of α, by Kallioinen et al.
NUM_GROUPS = 10  # of draws, whose spread gives the standard errors
MAX_ROWS = 60
CONFLICT = "prior and data disagree"
WEAK = "the prior decides, the data say little"
COLUMNS = ("prior", "prior_se", "likelihood", "likelihood_se")


class PowerScaling(dict[str, dict[str, Any]]):
    """Sensitivities by unknown, arrays of its shape; prints as a table.

    prior, likelihood           distance that the posterior moves per doubling of α
    prior_se, likelihood_se     their standard errors, from ten groups of draws
    prior_shift, likelihood_shift   of the mean, in sds, per doubling of α
    diagnosis                   "", or what is amiss, in words
    """

    scaled: tuple[str, ...] = ()  # sites whose prior was scaled
    left_out: Mapping[str, str] = MappingProxyType({})  # effects that were not: scales
    source: str = ""
    trusted: bool = False
    advice: str = ""

    def __str__(self) -> str:
        rows = [
            (
                f"{name}[{', '.join(map(str, index))}]" if index else name,
                *(float(columns[c][index]) for c in COLUMNS),
                columns["diagnosis"][index],
            )
            for name, columns in self.items()
            for index in np.ndindex(*np.shape(columns["prior"]))
        ][:MAX_ROWS]
        width = max([8, *(len(label) for label, *_ in rows)])
        lines = [
            f"{label:<{width}} {a:>8.3f} ± {b:<7.2g}{c:>8.3f} ± {d:<7.2g} {words}"
            for label, a, b, c, d, words in rows
        ]
        head = f"{'':<{width}} {'prior':>8} {'':<9}{'likelihood':>8}"
        return "\n".join([head, *lines, self._about(), self.advice])

    __repr__ = __str__

    def _about(self) -> str:
        words = f"Scaled: the priors of {', '.join(self.scaled)}"
        effects = [f"{name} (times {scale})" for name, scale in self.left_out.items()]
        return f"{words}{'; not of ' * bool(effects)}{', '.join(effects)}."


@own_precision
def power_scaling(
    fit: Fit,
    key: Key,
    *,
    prior: tuple[str, ...] | None = None,
    num_samples: int = 4000,
    draws: str = "auto",
) -> PowerScaling:
    r"""Say of each unknown how far it hangs on the prior, and on the likelihood.

    The distance is the cumulative Jensen–Shannon one between the marginal posteriors at
    α = 1 and at α = 1.01 and its inverse, per unit of log₂ α; 0.05 and more is called
    sensitive.

    Args:
        fit: of a target of `vi.from_numpyro`.
        key: random key.
        prior: sites whose prior is scaled. By default those that depend on no other
            unknown, of a hierarchical model the top, for the rest is as much model as
            prior. So is the N(0, 1) of standardised effects z, of which the model knows
            the product with a scale alone: they are left out, and named in `left_out`.
        num_samples: number of draws, of each part that q's correction needs.
        draws: where they come from, as in `vi.loo`.

    Returns:
        The PowerScaling: by unknown both distances, their errors, the shifts of the
        mean, and a diagnosis; with advice.

    Raises:
        ValueError: as `vi.log_likelihood`; a model that subsamples; an unknown name in
            `prior`; fewer than 1000 samples; inside a trace.

    References:
        See the module's.

    Example:
        >>> import jax, jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> fit = vi.fit(vi.from_numpyro(model, jnp.full(2, 8.0)), jax.random.key(0))
        >>> power_scaling(fit, jax.random.key(1))["mean"]["diagnosis"].item()
        'prior and data disagree'
    """
    check(num_samples >= 1000, "num_samples", num_samples, "give at least 1000")
    if is_traced(fit.status, key):
        raise ValueError("vi.power_scaling is for one fit, outside of jit and vmap")
    require_observations(fit, "vi.power_scaling")
    if fit.target.subsampled:
        raise ValueError(
            "fit is of a model that subsamples its rows, of which vi.power_scaling "
            "does not know the likelihood: give the plate no subsample_size"
        )
    source = source_of(fit, draws)
    if draws == "auto" and source == Q:
        source = IMPORTANCE
    drawn = weighted_draws(fit, key, num_samples, source)
    values = unknowns(fit.target, constrained_sites(fit.target, drawn.positions))
    backwards = fit.target.static.backwards
    known, first = in_steps(backwards, values), first_in_steps(backwards, values)
    scaled, asked = _scaled(fit.target, first, prior), []
    if prior is None:
        asked = questions(fit.target, known, scaled)
        known = with_questions(known, asked)
    terms = {
        name: np.asarray(x, float) for name, x in _terms(fit.target, known).items()
    }
    number = len(drawn.log_weights)
    left_out = standardised(asked, terms, number)
    scaled = tuple(name for name in scaled if name not in left_out)
    terms = {name: x[:number] for name, x in terms.items()}
    # By their shapes alone: what is not known one by one is refused.
    observed = jax.eval_shape(partial(observations, fit.target), first)
    powers = {
        "prior": np.sum([terms[name] for name in scaled], axis=0),
        "likelihood": np.sum([terms[name] for name in observed], axis=0),
    }
    table = PowerScaling()
    for name, x in values.items():
        table[name] = _columns(np.asarray(x, float), drawn, powers)
    table.scaled, table.left_out, table.source = scaled, left_out, source
    if source == IMPORTANCE:
        smoothed = psis(np.asarray(drawn.log_weights, float))
        given = float(smoothed.tail_shape), float(smoothed.effective_sample_size)
        table.trusted, words = judge_weights(fit, drawn, *given)
    else:
        own = fit if source != Q else fit._replace(chains=None)
        table.trusted, words = bool(own.has_good_draws), own.advice
    table.advice = _advise(table) if table.trusted else words
    return table


def _scaled(
    target: Target, first: dict[str, Array], prior: tuple[str, ...] | None
) -> tuple[str, ...]:
    if prior is None:
        return independent_sites(target, first)
    for name in prior:
        if name not in first:
            raise ValueError(
                f"prior = {prior!r} is not valid: {name!r} is no unknown site; give "
                f"some of {tuple(first)}"
            )
    return prior


@density_jit
def _terms(target: Target, values: dict[str, Array]) -> dict[str, Array]:
    number = len(next(iter(values.values())))
    batch_size = max(1, 2**23 // target.data_size)
    of_one = partial(site_log_probs, target)
    return in_batches(of_one, values, min(batch_size, number))


def _columns(
    x: np.ndarray, drawn: WeightedDraws, powers: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return the sensitivities of each entry of an unknown."""
    shape, entries = x.shape[1:], np.reshape(x, (len(x), -1))
    log_weights = np.asarray(drawn.log_weights, float)
    groups = _groups(drawn)
    found: dict[str, Any] = {}
    for name, log_power in powers.items():
        whole = distances(entries, log_weights, log_power, POWER)
        parts = [
            distances(entries[rows], log_weights[rows], log_power[rows], POWER)
            for rows in groups
        ]
        error = np.std(parts, axis=0, ddof=1) / NUM_GROUPS**0.5
        found[name] = np.reshape(whole, shape)
        found[f"{name}_se"] = np.reshape(error, shape)
        shift = shifts(entries, log_weights, log_power)
        found[f"{name}_shift"] = np.reshape(shift, shape)
    of_prior, of_data = (found[name] >= SENSITIVE for name in powers)
    words = np.where(of_prior & of_data, CONFLICT, "")
    found["diagnosis"] = np.where(of_prior & ~of_data, WEAK, words)
    return found


def _groups(drawn: WeightedDraws) -> list[np.ndarray]:
    """Return ten groups of draws that do not hang together."""
    number = len(drawn.log_weights)
    if drawn.num_chains:
        return np.array_split(np.arange(number), NUM_GROUPS)
    within = np.arange(number) % (number // drawn.num_parts)
    return [np.flatnonzero(within % NUM_GROUPS == n) for n in range(NUM_GROUPS)]


def _advise(table: PowerScaling) -> str:
    words = []
    for diagnosis, remedy in (
        (CONFLICT, "look whether the prior was meant so"),
        (WEAK, "say where the prior is from, or take more data"),
    ):
        names = [
            f"{name}[{', '.join(map(str, index))}]" if index else name
            for name, columns in table.items()
            for index in np.ndindex(*np.shape(columns["prior"]))
            if columns["diagnosis"][index] == diagnosis
        ]
        if names:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            words.append(f"{shown}: {diagnosis}; {remedy}.")
    scaled = ", ".join(table.scaled)
    return " ".join(words) or f"No unknown is sensitive to the priors of {scaled}."
