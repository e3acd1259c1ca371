"""Credible intervals of distributions, draws and grids against SciPy and simulation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import optimize, stats

from vijax.bayes.conjugate.distributions.truncated_gamma import TruncatedGamma
from vijax.bayes.conjugate.gamma_exponential import Lomax
from vijax.bayes.conjugate.pareto_uniform import UniformPareto
from vijax.bayes.grid import landscape
from vijax.bayes.intervals import credible_interval, quantile, upper_quantile

pytestmark = pytest.mark.usefixtures("x64")

SHAPES = np.array([1.001, 1.05, 1.5, 3.0, 20.0, 1e3, 1e6])
MASS = 0.95


def beta_shapes():
    a, b = np.meshgrid(SHAPES, SHAPES)
    return a.ravel(), b.ravel()


FAMILIES = {
    "beta": (lambda: dist.Beta(*beta_shapes()), lambda: stats.beta(*beta_shapes())),
    "gamma": (lambda: dist.Gamma(SHAPES, 2.0), lambda: stats.gamma(SHAPES, scale=0.5)),
    "inverse_gamma": (
        lambda: dist.InverseGamma(SHAPES, 2.0),
        lambda: stats.invgamma(SHAPES, scale=2.0),
    ),
    "student": (
        lambda: dist.StudentT(SHAPES, 1.0, 3.0),
        lambda: stats.t(SHAPES, loc=1.0, scale=3.0),
    ),
    "normal": (
        lambda: dist.Normal(SHAPES, 2.0),
        lambda: stats.norm(loc=SHAPES, scale=2.0),
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
def test_equal_tails(name):
    ours, scipys = (make() for make in FAMILIES[name])
    lower, upper = jax.jit(credible_interval)(ours, MASS)
    tail = (1 - MASS) / 2
    np.testing.assert_allclose(lower, scipys.ppf(tail), rtol=1e-9, atol=1e-300)
    # SciPy 1.17 is off by 3e-9 at Beta(1e3, 1e6); mpmath agrees with us to 1e-15.
    np.testing.assert_allclose(upper, scipys.isf(tail), rtol=1e-8)


@pytest.mark.thorough
@pytest.mark.parametrize("mass", [0.1, 0.6827, 0.95, 0.9999])
@pytest.mark.parametrize("name", FAMILIES)
def test_highest_density_has_its_mass_and_level_ends(name, mass):
    ours, scipys = (make() for make in FAMILIES[name])
    lower, upper = map(
        np.asarray,
        jax.jit(credible_interval, static_argnames="kind")(
            ours, mass, kind="highest_density"
        ),
    )
    outside = scipys.cdf(lower) + scipys.sf(upper)
    np.testing.assert_allclose(outside, 1 - mass, rtol=1e-8)
    inner = np.abs(lower) > 1e-200
    if name == "beta":  # nearer to 1 the end has too few digits; its mirror has them
        inner &= upper < 1 - 1e-6
    gap = scipys.logpdf(upper) - scipys.logpdf(lower)
    # SciPy's own log densities near 1e6 have lost six digits.
    np.testing.assert_allclose(gap[inner], 0, atol=1e-8)
    assert inner.sum() >= len(inner) // 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1.0, 1.0, (0.05, 0.95)),  # uniform: the central one
        (0.5, 2.0, (0.0, stats.beta(0.5, 2.0).ppf(0.9))),
        (2.0, 0.5, (stats.beta(2.0, 0.5).ppf(0.1), 1.0)),
        (0.3, 0.8, (0.0, stats.beta(0.3, 0.8).ppf(0.9))),  # two peaks: the higher side
    ],
)
def test_highest_density_without_an_inner_maximum(a, b, expected):
    ends = credible_interval(dist.Beta(a, b), 0.9, kind="highest_density")
    np.testing.assert_allclose(ends, expected, rtol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("mass", [1e-6, 0.5, 0.999])
def test_highest_density_of_a_nearly_flat_density(mass):
    """The level is within 1e-10 of the maximum: the central interval, to 1e-9."""
    flat = dist.Beta(1 + 1e-10, 1 + 1e-10)
    lower, upper = credible_interval(flat, mass, kind="highest_density")
    np.testing.assert_allclose(upper - lower, mass, rtol=1e-9)
    np.testing.assert_allclose(lower, 0.5 * (1 - mass), rtol=1e-9)


@pytest.mark.slow
def test_highest_density_of_few_successes_in_a_million_million_trials():
    """Beta(3, b) tends to Gamma(3) / b: relative difference of the order 1 / b."""
    few = credible_interval(dist.Beta(3.0, 1e12), kind="highest_density")
    limit = np.array(credible_interval(dist.Gamma(3.0, 1e12), kind="highest_density"))
    np.testing.assert_allclose(few, limit, rtol=1e-10)
    many = np.array(credible_interval(dist.Beta(1e12, 3.0), kind="highest_density"))
    np.testing.assert_allclose(1 - many[::-1], limit, atol=1e-15)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("posterior", "expected"),
    [
        (lambda: dist.Exponential(2.0), (0.0, np.log(10) / 2)),
        (lambda: dist.Pareto(1.0, 3.0), (1.0, 10 ** (1 / 3))),
        (lambda: Lomax(3.0, 4.0), (0.0, 4 * (10 ** (1 / 3) - 1))),
        (lambda: dist.Gamma(0.5, 1.0), (0.0, stats.gamma(0.5).ppf(0.9))),
    ],
)
def test_highest_density_of_falling_densities(posterior, expected):
    ends = credible_interval(posterior(), 0.9, kind="highest_density")
    np.testing.assert_allclose(ends, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_derivatives_of_the_ends():
    """Central differences of the interval itself, in a, b and the mass."""

    def ends(parameters, kind):
        a, b, mass = parameters
        return jnp.stack(credible_interval(dist.Beta(a, b), mass, kind=kind))

    at, step = jnp.array([3.0, 7.0, 0.9]), 1e-5
    for kind in ("equal_tailed", "highest_density"):
        function = jax.jit(lambda p, kind=kind: ends(p, kind))
        jacobian = jax.jit(jax.jacfwd(function))(at)
        shifts = step * jnp.eye(3)
        both = jax.vmap(function)(at + shifts), jax.vmap(function)(at - shifts)
        numeric = ((both[0] - both[1]) / (2 * step)).T
        np.testing.assert_allclose(jacobian, numeric, atol=2e-8)
    # The uniform Beta has no slope: its interval stays the central one.
    uniform = jax.jit(jax.jacfwd(partial(ends, kind="highest_density")))
    by_mass = uniform(jnp.array([1.0, 1.0, 0.9]))[:, 2]
    np.testing.assert_allclose(by_mass, [-0.5, 0.5], rtol=1e-12)


def moving_ends(family, parameter, mass):
    """Return both ends, and their derivatives in the parameter and in the mass."""

    def ends(parameter, mass):
        both = credible_interval(family(parameter), mass, kind="highest_density")
        return jnp.stack(both)

    slopes = jax.jit(jax.jacfwd(ends, (0, 1)))(parameter, mass)
    return (*map(np.asarray, (ends(parameter, mass), *slopes)),)


@pytest.mark.slow
def test_derivatives_of_ends_that_bisection_finds():
    """A log-normal one: its scale stretches the ends, which stay equally dense."""
    ends, by_loc, by_mass = moving_ends(lambda loc: dist.LogNormal(loc, 0.7), 0.3, 0.9)
    np.testing.assert_allclose(by_loc, ends, rtol=1e-9)
    density = stats.lognorm(0.7, scale=np.exp(0.3)).pdf(ends)
    np.testing.assert_allclose(density @ (by_mass * [-1, 1]), 1.0, rtol=1e-9)
    log_slope = -(1 + (np.log(ends) - 0.3) / 0.7**2) / ends
    np.testing.assert_allclose(*(log_slope * by_mass), rtol=1e-8)


def test_derivatives_of_ends_at_the_end_of_the_support():
    ends, by_rate, by_mass = moving_ends(dist.Exponential, 2.0, 0.9)
    np.testing.assert_allclose(by_rate, [0.0, -ends[1] / 2], rtol=1e-9)
    np.testing.assert_allclose(by_mass, [0.0, 1 / (2 * 0.1)], rtol=1e-9)


def test_derivatives_of_ends_of_a_flat_density():
    """The interval is the central one, and stays it."""
    ends, by_high, by_mass = moving_ends(lambda high: dist.Uniform(0.0, high), 2.0, 0.9)
    np.testing.assert_allclose(ends[1] - ends[0], 1.8, rtol=1e-12)
    np.testing.assert_allclose(by_high, ends / 2, rtol=1e-9)
    np.testing.assert_allclose(by_mass[1] - by_mass[0], 2.0, rtol=1e-9)


@pytest.mark.thorough
def test_upper_tail_keeps_digits():
    np.testing.assert_allclose(
        upper_quantile(dist.Gamma(1.0, 1.0), 1e-30), 30 * np.log(10), rtol=1e-12
    )
    small = upper_quantile(dist.Beta(2.0, 3.0), 1.0 - 2.0**-50)
    np.testing.assert_allclose(small, stats.beta(2, 3).ppf(2.0**-50), rtol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "posterior",
    [
        lambda: TruncatedGamma(10.0, 3.0, 5.0),
        lambda: TruncatedGamma(3.0, 1.0, 0.1),  # the cut leaves 1.5e-4
        lambda: TruncatedGamma(2000.0, 1.0, 100.0),  # the cut leaves 1e-1100
        lambda: UniformPareto(3.0, 4.0),
    ],
)
def test_quantiles_of_our_distributions(posterior):
    """The quantile of a grid's cdf, integrated from the density, is the probability."""
    q = jnp.array([0.01, 0.3, 0.7, 0.99])
    x = quantile(posterior(), q)

    def below(end):
        nodes, weights = np.polynomial.legendre.leggauss(200)
        points = 0.5 * end * (nodes + 1)
        return 0.5 * end * np.sum(weights * np.exp(posterior().log_prob(points)))

    if isinstance(posterior(), UniformPareto):
        x = x[:2]  # a kink at the scale: the integral is exact below it
    for probability, end in zip(q, x, strict=False):
        np.testing.assert_allclose(below(end), probability, rtol=1e-9)


@pytest.mark.thorough
def test_draws(key):
    """10^5 draws of a Gamma; four standard errors of the order statistics."""
    draws = dist.Gamma(3.0, 1.0).sample(key, (100_000,))
    exact = stats.gamma(3.0)
    for kind in ("equal_tailed", "highest_density"):
        lower, upper = credible_interval(draws, 0.9, kind=kind)
        inside = exact.cdf(upper) - exact.cdf(lower)
        assert abs(inside - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 1e5)
    errors = np.sqrt(0.05 * 0.95 / 1e5) / exact.pdf(exact.ppf([0.05, 0.95]))
    ends = np.array(credible_interval(draws, 0.9))
    assert np.all(np.abs(ends - exact.ppf([0.05, 0.95])) < 4 * errors)
    both = credible_interval(jnp.stack([draws, 2 * draws], axis=1), 0.9)
    np.testing.assert_allclose(both[1][1], 2 * both[1][0], rtol=1e-12)


def test_draws_highest_density_is_the_narrowest():
    draws = jnp.array([0.0, 5.0, 6.0, 6.5, 7.0, 20.0])
    ends = credible_interval(draws, 0.6, kind="highest_density")
    np.testing.assert_allclose(ends, (5.0, 7.0))


def bimodal(theta):
    one = jnp.log(0.3) - 0.5 * (theta[0] + 4) ** 2
    return jnp.logaddexp(one, jnp.log(0.7) - 0.5 * (theta[0] - 4) ** 2)


@pytest.mark.slow
def test_grid_with_two_modes(nan_is_an_answer):
    """Two unit normals far apart: both intervals end at the same density."""
    grid = landscape.prior(bimodal, (landscape.axis(-12.0, 12.0, 4001),))
    lower, upper = credible_interval(grid, 0.9, kind="highest_density")
    assert lower.shape == (2,)

    def mass_above(level):  # level = height of the density over its maximum at +4
        half = np.sqrt(-2 * np.log(level * np.array([7 / 3, 1.0])))
        return 0.3 * (2 * stats.norm.cdf(half[0]) - 1) + 0.7 * (
            2 * stats.norm.cdf(half[1]) - 1
        )

    level = optimize.brentq(lambda v: mass_above(v) - 0.9, 1e-6, 0.42)
    half = np.sqrt(-2 * np.log(level * np.array([7 / 3, 1.0])))
    np.testing.assert_allclose(lower, [-4 - half[0], 4 - half[1]], atol=1e-4)
    np.testing.assert_allclose(upper, [-4 + half[0], 4 + half[1]], atol=1e-4)
    traced = jax.jit(lambda g: credible_interval(g, 0.9, kind="highest_density"))(grid)
    assert np.isnan(traced[0][2:]).all()


@pytest.mark.thorough
def test_grid_equal_tails():
    axis = landscape.axis(0.0, 1.0, 2001)
    beta = landscape.prior(lambda t: dist.Beta(11.0, 5.0).log_prob(t[0]), (axis,))
    ends = credible_interval(beta, 0.95)
    np.testing.assert_allclose(ends, (0.448997, 0.881759), atol=2e-6)


@pytest.mark.slow
def test_credible_intervals_cover_their_mass(key):
    """Parameters from the prior, data from the model: the mass is the coverage."""
    num = 20_000
    prior = dist.Gamma(2.0, 0.5)
    rate_key, count_key = jax.random.split(key)
    rates = prior.sample(rate_key, (num,))
    counts = dist.Poisson(rates * 3.0).sample(count_key)
    posterior = dist.Gamma(2.0 + counts, 0.5 + 3.0)
    for kind in ("equal_tailed", "highest_density"):
        lower, upper = credible_interval(posterior, 0.8, kind=kind)
        covered = np.mean((lower <= rates) & (rates <= upper))
        assert abs(covered - 0.8) < 4 * np.sqrt(0.8 * 0.2 / num)


def test_bad_input(nan_is_an_answer):
    beta = dist.Beta(2.0, 3.0)
    with pytest.raises(ValueError, match=r"mass = 1\.0"):
        credible_interval(beta, 1.0)
    with pytest.raises(ValueError, match="kind = 'central'"):
        credible_interval(beta, kind="central")
    with pytest.raises(ValueError, match="two draws"):
        credible_interval(np.array([1.0]))
    with pytest.raises(ValueError, match=r"q = 1\.5"):
        quantile(beta, 1.5)
    traced = jax.jit(lambda mass: credible_interval(beta, mass))(jnp.nan)
    assert np.isnan(traced).all()
