r"""The predictive distribution of a NumPyro model: after a fit, and before any data.

    predict(fit, key, x_new, None)         p(y_new | y) = ∫ p(y_new | θ) p(θ | y) dθ
    prior_predict(model, key, x, None)     p(y) = ∫ p(y | θ) p(θ) dθ

One draw of θ, then one run of the model at it, for each sample.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check, is_traced, is_whole
from vijax.vi.after.index_ranges import check_indices
from vijax.vi.after.posterior_draws import PosteriorDraws, posterior_draws, source_of
from vijax.vi.after.refusals import (
    check_new_run,
    check_same_model,
    check_values,
    parameters_in_words,
)
from vijax.vi.after.site_draws import SiteDraws
from vijax.vi.engine.batched_density import in_batches
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import own_precision
from vijax.vi.result import Fit
from vijax.vi.targets.arguments.looked_up import looked_up, settled
from vijax.vi.targets.models import replay
from vijax.vi.targets.models.enumeration import draw_discrete
from vijax.vi.targets.models.replay import Generated, Model, Rerun
from vijax.vi.targets.models.scan_steps import in_steps
from vijax.vi.targets.streams.streamed_model import at_one_block
from vijax.vi.targets.target import Target

MAX_BATCH = 2**23  # numbers that the sites of one batch of draws may hold


@own_precision
def predict(
    fit: Fit,
    key: Key,
    *args: Any,
    num_samples: int = 1000,
    draws: str = "auto",
    fresh: str | Sequence[str] = (),
    batch_size: int | None = None,
    **kwargs: Any,
) -> SiteDraws:
    r"""Draw from the posterior predictive of a NumPyro model at new arguments.

        θ_s ~ p(θ | y),   y_s ~ p(y_new | θ_s),   s = 1, …, num_samples

    Give the model's arguments as at the fit, new inputs of any number of rows, and None
    for what is observed data. Without any argument the fit's own are used, and every
    observed site is drawn anew, in the shape of its data: replications, for predictive
    checks. Without its data a site has the shape that plates and inputs give it: where
    none do, it is one new observation.

    Unknown sites keep their posterior draws. A site for each row or group of the fit
    means these rows and groups again: for new ones name it in `fresh`. The sites of a
    `scan` may be longer than in the fit, and are then carried on: a forecast.

    Discrete unknowns that the fit has summed out are drawn, given the data of the fit.

    Args:
        fit: of a target of `vi.from_numpyro`.
        key: random key.
        *args: new arguments of the model; those that a functools.partial of the fit has
            fixed are kept.
        num_samples: number of draws.
        draws: where θ comes from. "auto", as the verdict tells: chains where the fit
            has them (`vi.nuts`), else q where it is trusted, else q corrected by
            importance weights (resampled). Where the verdict tells to use none of them,
            q, and `trusted` is False. Or one of "q", "importance", "chains".
        fresh: unknown sites to be drawn from the model given the others: new groups.
        batch_size: draws at a time; by default what keeps a batch within some 100 MB.
        **kwargs: new arguments by name. A model's own argument of a name above is
            given by position.

    Returns:
        A dict of arrays by site, draws first: unknown, deterministic and predicted
        sites. It prints as a table, says its `source`, whether it is `trusted`, and its
        `effective_sample_size`, from which comes the standard error of a mean.

    Raises:
        ValueError: for a target of `from_log_density`; where nothing is left to be
            predicted; for NaN in new arguments, other axes than the fit's, indices
            beyond what the fit knows; a distribution whose parameters are outside of
            their range at every draw (a negative rate); unknown sites of another shape,
            or that the fit does not know; a model that has changed since the fit, also
            by a global that it reads; a subsampled plate; `num_samples` or `batch_size`
            below 1; an unknown name in `draws` or `fresh`.

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(x, y):
        ...     slope = numpyro.sample("slope", dist.Normal(0.0, 10.0))
        ...     numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)
        >>> x = jnp.arange(1.0, 6.0)
        >>> fit = vi.fit(vi.from_numpyro(model, x, 2.0 * x), jax.random.key(0))
        >>> found = predict(fit, jax.random.key(1), jnp.array([10.0, 20.0]), None)
        >>> found["y"].shape, found.source
        ((1000, 2), 'q')
        >>> (found["y"].mean(axis=0) / 10).round(1).tolist()
        [2.0, 4.0]
    """
    target = at_one_block(fit.target)
    replay.require_model(target, "vi.predict")
    check_number("num_samples", num_samples)
    source_of(fit, draws)
    fresh = (fresh,) if isinstance(fresh, str) else tuple(fresh)
    own = check_same_model(target)
    replicates = not args and not kwargs
    if replicates and fit.target.streamed:
        raise ValueError(
            "fit is to a stream, whose rows are not predicted all at once: give the "
            "model's arguments, and None for what is observed"
        )
    if not replicates:
        check_values(target, args, kwargs)
    run = replay.rerun(target, args, kwargs, fresh=fresh, replicates=replicates)
    draw_key, discrete_key, noise_key = jax.random.split(key, 3)
    posterior = posterior_draws(fit, draw_key, num_samples, draws)
    values = dict(posterior.values)
    if target.static.discrete:
        drawn = draw_discrete(target, discrete_key, values)
        values |= {site.name: drawn[site.name] for site in target.static.discrete}
    check_new_run(own, run, values, fresh)
    kept = {name: x for name, x in values.items() if name not in fresh}
    generated = _generate(run, noise_key, kept, num_samples, batch_size)
    found = kept | generated.values
    if not replicates:
        check_indices(target, run, (args, kwargs), found, noise_key)
    if not is_traced(generated):
        at_fit = partial(_invalid_at_fit, target, noise_key, posterior.values)
        words = parameters_in_words(generated.invalid, at_fit)
        posterior = _with_words(posterior, words)
    return SiteDraws.of(replay.in_order(run, found), posterior)


def _with_words(posterior: PosteriorDraws, words: str) -> PosteriorDraws:
    return posterior._replace(advice=f"{posterior.advice} {words}".strip())


def _invalid_at_fit(target: Target, key: Key, values: dict[str, Array]) -> set[str]:
    """Return the parameters out of range at a draw and the fit's own arguments."""
    one = {name: x[:1] for name, x in values.items()}
    run = replay.rerun(target, replicates=True)
    if target.static.discrete:
        drawn = draw_discrete(target, key, one)
        one |= {site.name: drawn[site.name] for site in target.static.discrete}
    invalid = _generate(run, key, one, 1, None).invalid
    return {name for name, bad in invalid.items() if np.any(bad)}


def prior_predict(
    model: Callable[..., Any],
    key: Key,
    *args: Any,
    num_samples: int = 1000,
    batch_size: int | None = None,
    **kwargs: Any,
) -> SiteDraws:
    r"""Draw from the prior predictive of a NumPyro model: θ ~ p(θ), y ~ p(y | θ).

    Every site is drawn, observed ones too, whether their data are given or None.

    Args:
        model: any function with NumPyro's primitives.
        key: random key.
        *args: of the model.
        num_samples: number of draws.
        batch_size: draws at a time; by default what keeps a batch within some 100 MB.
        **kwargs: of the model, by name.

    Returns:
        As `predict`.

    Raises:
        ValueError: the model cannot be run at the arguments; a site has an improper
            prior, is observed by a handler inside a scan, or has parameters outside of
            their range at every draw; `num_samples` or
            `batch_size` is below 1.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> def model(y):
        ...     rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
        ...     numpyro.sample("y", dist.Poisson(rate), obs=y)
        >>> found = prior_predict(model, jax.random.key(0), None, num_samples=4000)
        >>> abs(found["y"].mean().item() - 2.0) < 0.1  # E[y] = E[rate] = 2
        True
    """
    check_number("num_samples", num_samples)
    if isinstance(model, partial):
        args, kwargs = (*model.args, *args), {**model.keywords, **kwargs}
        model = model.func
    read = looked_up(model)
    run = replay.run_at(Model(model), args, kwargs, replicates=True)
    there = run.model._replace(looked_up=settled(read, model))
    run = run._replace(model=there)
    check_new_run(None, run, {}, ())
    found = _generate(run, key, {}, num_samples, batch_size)
    drawn = PosteriorDraws({}, "prior", True, np.nan, float(num_samples), "")
    if not is_traced(found):
        words = parameters_in_words(found.invalid, tuple)
        drawn = _with_words(drawn, words)
    return SiteDraws.of(replay.in_order(run, found.values), drawn)


def replicates(target: Target, key: Key, values: dict[str, Array]) -> dict[str, Array]:
    """Draw every observed site anew at draws of the unknowns, the fit's own inputs.

    Deterministic sites are among the values returned.

    Args:
        target: of a NumPyro model.
        key: random key.
        values: draws of all unknowns, draws first.
    """
    run = replay.rerun(target, replicates=True)
    number = len(next(iter(values.values())))
    return _generate(run, key, values, number, None).values


def check_number(name: str, value: Any) -> None:
    """Raise a ValueError where a number of things is not whole, or below 1."""
    valid = is_whole(value) and value >= 1
    check(valid, name, value, "give a whole number, at least 1")


def _generate(
    run: Rerun,
    key: Key,
    values: dict[str, Array],
    num_samples: int,
    batch_size: int | None,
) -> Generated:
    """Run the model at each of the draws, in batches."""
    if batch_size is None:
        numbers = sum(
            int(np.prod(site.shape, dtype=int)) for site in run.sites.values()
        )
        batch_size = max(1, MAX_BATCH // max(1, numbers))
    check_number("batch_size", batch_size)
    known = in_steps(run.model.backwards, values)
    return _generate_many(
        run.model,
        run.data,
        jax.random.split(key, num_samples),
        known,
        replicates=run.replicates,
        batch_size=min(batch_size, num_samples),
    )


@partial(density_jit, static_argnums=0, static_argnames=("replicates", "batch_size"))
def _generate_many(
    model: Model,
    data: list[Array],
    keys: Key,
    values: dict[str, Array],
    *,
    replicates: bool,
    batch_size: int,
) -> Generated:
    def one(at: tuple[Key, dict[str, Array]]) -> Generated:
        key, known = at
        return replay.generate(model, data, known, key, replicates=replicates)

    return in_batches(one, (keys, values), batch_size)
