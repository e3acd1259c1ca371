"""Derivatives at the points where one tries them first, and tests without spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from vijax.bayes import frequentist as freq


@pytest.mark.thorough
@pytest.mark.parametrize("bits", slow_except({64}, [32, 64]))
def test_slopes_where_nothing_is_seen(bits):
    """At p = 1/2 and at no excess the slopes came out as 0 or NaN."""
    rtol = 1e-5 if bits == 32 else 1e-12
    with jax.enable_x64(bits == 64):
        root = -np.sqrt(2 * np.pi)  # dz/dp = -1 / φ(0)
        np.testing.assert_allclose(jax.grad(freq.significance)(0.5), root, rtol=rtol)
        by_log = jax.grad(freq.significance_from_log)(jnp.log(0.5))
        np.testing.assert_allclose(by_log, root / 2, rtol=rtol)
        # S = (n_on - α n_off) / sqrt(α (1 + α) n_off) near no excess
        by_alpha = jax.grad(lambda a: freq.li_ma_significance(5, 10, a))(0.5)
        np.testing.assert_allclose(by_alpha, -10 / np.sqrt(7.5), rtol=rtol)
        by_count = jax.grad(freq.li_ma_significance)(5.0, 10.0, 0.5)
        np.testing.assert_allclose(by_count, 1 / np.sqrt(7.5), rtol=rtol)

        def p_value(null):
            return freq.binomial_p_value(5, 10, null=null, method="likelihood_ratio")

        expected = np.sqrt(40 / (2 * np.pi))  # φ(0) sqrt(n / (p (1 - p)))
        np.testing.assert_allclose(jax.grad(p_value)(0.5), expected, rtol=rtol)
        assert jax.grad(lambda a: freq.li_ma_significance(0, 0, a))(1.0) == 0


@pytest.mark.thorough
def test_li_ma_is_smooth_where_the_formula_changes(x64):
    counts = np.linspace(100, 140, 401)

    def of_count(n):
        return freq.li_ma_significance(n, 100, 1.0)

    with np.errstate(all="ignore"):
        total = counts + 100
        ratio = counts * np.log(2 * counts / total) + 100 * np.log(200 / total)
    whole = counts == counts.round()
    found = np.asarray(of_count(counts[whole]))
    np.testing.assert_allclose(found, np.sqrt(2 * ratio[whole].clip(0)), atol=1e-7)


@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.parametrize("method", ["score", "wald"])
def test_tests_without_spread(method):
    """A null of 0 or 1, or an estimate of 0 or 1, has no variance."""
    same = {"score": (0, 10, 0.0), "wald": (10, 10, 1.0)}[method]
    k, n, null = same
    assert freq.binomial_p_value(k, n, null=null, method=method) == 0.5
    both = freq.binomial_p_value(
        k, n, null=null, method=method, alternative="two-sided"
    )
    assert both == 1
    far = {"score": (3, 10, 0.0), "wald": (10, 10, 0.5)}[method]
    k, n, null = far
    for alternative, expected in (("greater", 0), ("less", 1), ("two-sided", 0)):
        options = {"null": null, "method": method, "alternative": alternative}
        assert freq.binomial_p_value(k, n, **options) == expected
