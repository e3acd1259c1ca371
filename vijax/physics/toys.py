"""CLs by simulated experiments, where the asymptotic p-values may be doubted."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax import printing
from vijax.physics.histfactory import Observed, constants, expected
from vijax.physics.hypothesis_tests import BANDS
from vijax.physics.likelihood_fit import (
    entry_of,
    held_and_start,
    in_double,
    lower_of,
    search,
    search_all,
    search_around,
    stacked,
    with_entry,
)
from vijax.physics.target import FitData, parts_of
from vijax.types import Key
from vijax.validate import check, is_whole
from vijax.vi.targets.target import Target

BATCH = 250  # toys that are fitted at a time
MOST_FAILED = 0.01  # of the toys; beyond, the p-values are NaN


class ToyTest(NamedTuple):
    """p-values of a signal strength by simulation, with their standard errors."""

    cls: Any
    cls_se: Any
    cls_b: Any  # P(q ≥ q_observed | μ)
    cls_b_se: Any
    cl_b: Any  # P(q ≥ q_observed | 0)
    cl_b_se: Any
    expected_cls: Any  # (5,): quantiles over the toys of background alone, rising
    statistic: Any  # q of the data
    signal_toys: Any  # q of toys at μ; NaN: the fit did not converge
    background_toys: Any

    def __str__(self) -> str:
        sizes = np.shape(self.signal_toys)[-1:]
        title = f"CLs of a signal strength, {sizes[0] if sizes else 1} toys each"
        values = {
            "CLs": printing.in_digits(self.cls, self.cls_se),
            **printing.by_band("CLs expected", self.expected_cls),
            "CLs+b": printing.in_digits(self.cls_b, self.cls_b_se),
            "CLb": printing.in_digits(self.cl_b, self.cl_b_se),
            "statistic q": self.statistic,
        }
        return printing.described(title, values)

    def __repr__(self) -> str:
        return str(self)


def toy_test(key: Key, target: Target, mu: float, *, num_toys: int = 2000) -> ToyTest:
    r"""Test a signal strength by CLs, its p-values counted in simulated experiments.

    Toys are drawn at μ and at 0, with the nuisance parameters as fitted there, their
    auxiliary data included, and all are fitted as the data are (q, or qtilde where the
    workspace keeps μ above 0). A p-value p of N toys has the standard error
    √(p (1 − p) / N).

    Args:
        key: random key.
        target: from `from_pyhf`.
        mu: value of the parameter of interest.
        num_toys: of each hypothesis.

    Returns:
        The ToyTest; NaN where more than 1 % of the toys' fits did not converge.

    Raises:
        ValueError: the target is not a template fit, or has no parameter of interest;
            the strength is not one finite number; fewer than 10 toys.

    References:
        ATLAS and CMS (2011), ATL-PHYS-PUB-2011-11, CMS NOTE-2011/005.
    """
    check(
        is_whole(num_toys) and num_toys >= 10, "num_toys", num_toys, "give at least 10"
    )
    one = np.shape(mu) == () and np.isfinite(mu)
    check(one, "mu", mu, "give one finite signal strength")
    return _toy_test(target, key, mu, num_toys)


@in_double
def _toy_test(target: Target, key: Key, mu: float, num_toys: int) -> ToyTest:
    layout, data = parts_of(target)
    held, start = held_and_start(target)
    index = entry_of(layout)
    fixed = with_entry(held, index, True)
    observed = stacked(*[data.observed] * 3)
    helds = np.stack([held, fixed, fixed])
    starts = stacked(start, *(with_entry(start, index, at) for at in (mu, 0.0)))
    found = search_all(data, observed, starts, helds)
    # Of two maxima the higher one counts: the free fit again from where the held ones
    # ended, then these from where it did.
    ends = stacked(found.theta[1], found.theta[2], found.theta[0])
    again = search_around(data, observed, ends, np.stack([held] * 3))
    free, *others = (
        jax.tree.map(lambda x, n=n: x[n], one)
        for one, n in ((found, 0), (again, 0), (again, 1))
    )
    for other in others:
        free = lower_of(free, other, free, other)
    near = stacked(free.theta, *(with_entry(free.theta, index, at) for at in (mu, 0.0)))
    again = search_around(data, observed, near, helds)
    found = lower_of(found, again, found, again)
    twice = 2 * jnp.maximum(found.value[1] - found.value[0], 0.0)
    statistic = jnp.where(found.theta[0, index] > mu, 0.0, twice)
    signal, background = (
        _simulate(k, data, theta, held, index, mu, num_toys)
        for k, theta in zip(jax.random.split(key), found.theta[1:], strict=True)
    )
    good = found.converged.all()
    return _count(jnp.where(good, statistic, jnp.nan), signal, background)


def _simulate(
    key: Key,
    data: FitData,
    theta: Any,
    held: Any,
    index: int,
    mu: float,
    num_toys: int,
) -> Array:
    """Return q of toys at θ, batch after batch of one program."""
    batches = -(-num_toys // BATCH)
    keys = jax.random.split(key, (batches, BATCH))
    parts = [_batch(one, data, theta, held, index, mu) for one in keys]
    return jnp.concatenate(parts)[:num_toys]


@jax.jit
def _batch(
    keys: Key, data: FitData, theta: Any, held: Any, index: Any, mu: Any
) -> Array:
    theta, held = jnp.asarray(theta), jnp.asarray(held)
    # Both fits of a toy in one search, so that it is compiled once.
    starts = jnp.stack([theta, theta.at[index].set(mu)])
    helds = jnp.stack([held, held.at[index].set(True)])

    def one(key: Key) -> Array:
        toy = draw_data(key, data, theta)
        found = jax.vmap(lambda s, h: search(data, toy, s, h))(starts, helds)
        twice = 2 * jnp.maximum(found.value[1] - found.value[0], 0.0)
        statistic = jnp.where(found.theta[0, index] > mu, 0.0, twice)
        return jnp.where(found.converged.all(), statistic, jnp.nan)

    return jax.vmap(one)(keys)


def draw_data(key: Key, data: FitData, theta: Array) -> Observed:
    """Draw counts and auxiliary data at θ."""
    template = data.template
    for_main, for_normal, for_poisson = jax.random.split(key, 3)
    main = jax.random.poisson(for_main, expected(template, theta)).astype(theta.dtype)
    centre = theta[template.normal_of]
    noise = jax.random.normal(for_normal, centre.shape, theta.dtype)
    rates = template.tau * theta[template.poisson_of]
    poisson = jax.random.poisson(for_poisson, rates).astype(theta.dtype)
    constant = constants(main, poisson, template.sigma)
    return Observed(main, centre + template.sigma * noise, poisson, constant)


def _count(statistic: Array, signal: Array, background: Array) -> ToyTest:
    """Return the shares of toys that are beyond the data's, and their ratio."""
    cls_b, cls_b_se = _share(signal, statistic)
    cl_b, cl_b_se = _share(background, statistic)
    cls = cls_b / cl_b
    relative = jnp.hypot(cls_b_se / cls_b, cl_b_se / cl_b)
    of_each = jnp.sort(jnp.where(jnp.isnan(background), jnp.inf, background))
    above = [_beyond(toys, of_each) for toys in (signal, background)]
    ratios = jnp.where(jnp.isfinite(of_each), above[0] / above[1], jnp.nan)
    bands = jnp.nanpercentile(ratios, 100 * jax.scipy.special.ndtr(-BANDS))
    return ToyTest(
        cls,
        jnp.where(cls_b > 0, cls * relative, cls_b_se / cl_b),
        cls_b,
        cls_b_se,
        cl_b,
        cl_b_se,
        jnp.where(jnp.isnan(cls), jnp.nan, bands),
        statistic,
        signal,
        background,
    )


def _share(toys: Array, statistic: Array) -> tuple[Array, Array]:
    number = jnp.sum(~jnp.isnan(toys))
    failed = 1 - number / toys.shape[0]
    share = jnp.sum(toys >= statistic - _rounding(statistic)) / number
    good = (failed <= MOST_FAILED) & ~jnp.isnan(statistic)
    # No toy of N beyond: the error is that of one.
    error = jnp.sqrt(jnp.maximum(share * (1 - share), 1 / number) / number)
    return jnp.where(good, share, jnp.nan), jnp.where(good, error, jnp.nan)


def _beyond(toys: Array, values: Array) -> Array:
    """Return the share of toys at or beyond each value."""
    ordered = jnp.sort(jnp.where(jnp.isnan(toys), jnp.inf, toys))
    number = jnp.sum(jnp.isfinite(ordered))
    least = values - _rounding(values)
    return (number - jnp.searchsorted(ordered, least, side="left")) / number


def _rounding(statistic: Array) -> Array:
    """Return by how much q of equal data may differ: fits end at rounding, not at 0.

    Toys of few counts often equal the data, and all of these are at or beyond it.
    """
    return jnp.sqrt(jnp.finfo(statistic.dtype).eps) * (1 + statistic)
