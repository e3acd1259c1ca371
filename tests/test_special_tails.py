"""Log tails of Beta, Gamma and of counts against mpmath and closed forms."""

from fractions import Fraction
from math import comb

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from tests.references import make_special
from vijax import special

pytestmark = pytest.mark.usefixtures("x64")

# The largest error seen is 60 eps where multiplication and addition are fused, 75
# where they are not: both depend on processor and compiler.
TOLERANCE = 100 * np.finfo(float).eps


def logs(tails):
    return [float(mp.log(tail)) for tail in tails]


@pytest.mark.thorough
def test_beta_tails_agree_with_mpmath():
    a, b = np.exp(np.random.default_rng(0).uniform(np.log(1e-8), np.log(1e5), (2, 60)))
    x = np.array(special.betaincinv(a, b, np.geomspace(1e-30, 0.5, 60)))
    a, b, x = (v[(x > 1e-300) & (x < 1)] for v in (a, b, x))
    expected = []
    for values in zip(a, b, x, strict=True):
        a_, b_, x_ = map(mp.mpf, map(float, values))
        expected.append(logs(make_special.beta_tails(a_, b_, mp.log(x_ / (1 - x_)))))
    lower, upper = np.array(expected).T
    tolerance = TOLERANCE
    np.testing.assert_allclose(
        special.log_betainc(a, b, x), lower, tolerance, tolerance
    )
    np.testing.assert_allclose(special.log_betaincc(a, b, x), upper, tolerance)


@pytest.mark.thorough
def test_gamma_tails_agree_with_mpmath():
    a = np.exp(np.random.default_rng(1).uniform(np.log(1e-8), np.log(1e5), 60))
    x = np.array(special.gammainccinv(a, np.geomspace(1e-30, 0.5, 60)))
    a, x = (v[x > 1e-300] for v in (a, x))
    expected = [
        logs(make_special.gamma_tails(mp.mpf(a_), mp.log(mp.mpf(x_))))
        for a_, x_ in zip(map(float, a), map(float, x), strict=True)
    ]
    lower, upper = np.array(expected).T
    tolerance = TOLERANCE
    np.testing.assert_allclose(special.log_gammainc(a, x), lower, tolerance)
    np.testing.assert_allclose(special.log_gammaincc(a, x), upper, tolerance, tolerance)


@pytest.mark.parametrize("x", [1e-300, 1e-30, 0.3])
def test_closed_forms_far_below_the_smallest_float(x):
    np.testing.assert_allclose(special.log_betainc(50.0, 1.0, x), 50 * np.log(x), 1e-15)
    np.testing.assert_allclose(
        special.log_betaincc(1.0, 1e6, x), 1e6 * np.log1p(-x), 1e-13
    )
    np.testing.assert_allclose(special.log_gammaincc(1.0, 1e5 * x), -1e5 * x, 1e-13)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (special.log_betainc, (2.0, 3.0, 0.0), -np.inf),
        (special.log_betaincc, (2.0, 3.0, 0.0), 0.0),
        (special.log_betainc, (2.0, 3.0, 1.0), 0.0),
        (special.log_betaincc, (2.0, 3.0, 1.0), -np.inf),
        (special.log_betainc, (2.0, 3.0, 1.1), np.nan),
        (special.log_betainc, (-2.0, 3.0, 0.5), np.nan),
        (special.log_betainc, (2.0, np.nan, 0.5), np.nan),
        (special.log_gammainc, (2.0, 0.0), -np.inf),
        (special.log_gammaincc, (2.0, np.inf), -np.inf),
        (special.log_gammaincc, (2.0, -1.0), np.nan),
        (special.log_gammainc, (0.0, 1.0), np.nan),
    ],
)
def test_edges(function, arguments, expected):
    np.testing.assert_equal(function(*arguments).item(), expected)


@pytest.mark.thorough
@pytest.mark.parametrize("point", [(2.5, 40.0, 0.1), (1e-3, 3.0, 0.9), (4e3, 3e3, 0.6)])
def test_derivatives_of_the_log_tails(point):
    def tail(*values, which):
        a, b, x = map(mp.mpf, values)
        return mp.log(make_special.beta_tails(a, b, mp.log(x / (1 - x)))[which])

    for which, function in enumerate((special.log_betainc, special.log_betaincc)):
        ours = jax.grad(function, (0, 1, 2))(*point)
        for i in range(3):
            step = mp.mpf(point[i]) * mp.mpf("1e-25")
            high, low = (
                tail(*point[:i], mp.mpf(point[i]) + s, *point[i + 1 :], which=which)
                for s in (step, -step)
            )
            np.testing.assert_allclose(ours[i], float((high - low) / (2 * step)), 1e-10)


@pytest.mark.thorough
def test_binomial_tails_are_exact_sums():
    n, p = 40, Fraction(3, 10)
    mass = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    k = np.arange(n + 1)
    at_most, at_least = special.log_binomial_tails(k, n, float(p))
    np.testing.assert_allclose(
        at_most, [np.log(float(sum(mass[: i + 1]))) for i in k], 1e-14, 1e-15
    )
    np.testing.assert_allclose(
        at_least, [np.log(float(sum(mass[i:]))) for i in k], 1e-14, 1e-15
    )


def test_binomial_tails_of_a_trillion_trials():
    n = 10**12
    # In the middle of a fair coin the tails are alike and share the middle's mass.
    middle = stats.norm.pdf(0) / np.sqrt(n / 4) * (1 - 1 / (4 * n))
    at_most, at_least = special.log_binomial_tails(n // 2, n, 0.5)
    np.testing.assert_allclose(jnp.exp(at_most) - 0.5, 0.5 * middle, rtol=1e-8)
    np.testing.assert_allclose(at_least, at_most, rtol=1e-13)
    # Far out, a tail less the next one is the mass between: a ratio of 40 σ / √(n/4).
    k = n // 2 + 20 * 10**6
    first, second = (special.log_binomial_tails(k + i, n, 0.5)[1] for i in range(2))
    k = mp.mpf(k)
    log_mass = (
        mp.loggamma(n + 1)
        - mp.loggamma(k + 1)
        - mp.loggamma(n - k + 1)
        - n * mp.log(mp.mpf(2))
    )
    mass = -jnp.expm1(second - first) * jnp.exp(first - float(log_mass))
    np.testing.assert_allclose(mass, 1.0, rtol=1e-8)
    assert first < -800


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_count_edges():
    at_most, at_least = special.log_binomial_tails(
        np.array([-1, 0, 5, 6, np.nan]), 5, 0.5
    )
    last = -5 * np.log(2)
    np.testing.assert_allclose(at_most, [-np.inf, last, 0.0, 0.0, np.nan])
    np.testing.assert_allclose(at_least, [0.0, 0.0, last, -np.inf, np.nan])
    at_most, at_least = special.log_poisson_tails(np.array([-1, 0, 3, 0]), 2.0)
    expected = stats.poisson(2.0).logcdf([-1, 0, 3, 0])
    np.testing.assert_allclose(at_most, expected, rtol=1e-14)
    np.testing.assert_allclose(
        at_least, [0.0, 0.0, stats.poisson(2.0).logsf(2), 0.0], rtol=1e-14
    )
    zero = special.log_poisson_tails(0, 0.0)
    assert (zero.at_most.item(), zero.at_least.item()) == (0.0, 0.0)
