"""Fits, tests and limits: pyhf's documented numbers, exact counts, and pyhf itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pyhf
import pytest
from scipy import stats

from tests.physics.workspaces import (
    documented,
    one_bin,
    random_workspace,
    read,
    two_bins,
    workspace,
)
from vijax import physics, vi


@pytest.fixture(scope="module")
def target():
    return physics.from_pyhf(documented())


@pytest.mark.thorough
def test_maximum_is_that_of_pyhf(target):
    """Its documentation has (0, 1.0030512, 0.96266961), found by SLSQP."""
    fit = physics.maximum_likelihood(target)
    assert fit.converged
    np.testing.assert_allclose(fit.theta, [0.0, 1.0030512, 0.96266961], atol=2e-5)
    assert fit.at_bound["mu"]
    held = physics.maximum_likelihood(target, fixed={"mu": 1.0})
    np.testing.assert_allclose(held.theta, [1.0, 0.97224597, 0.87553894], atol=2e-5)
    twice = 2 * (fit.log_likelihood - held.log_likelihood)
    np.testing.assert_allclose(twice, 3.93824492, rtol=1e-6)


@pytest.mark.thorough
def test_a_fit_and_its_yields_print_as_tables(target):
    fit = physics.maximum_likelihood(target)
    lines = [line.split() for line in str(fit).splitlines()]
    assert lines[0] == ["Maximum", "of", "the", "likelihood"]
    assert lines[1] == ["mu", "0", "at", "a", "bound"]
    assert lines[2] == ["shape[0]", "1.003", "±", "0.055"]
    yields = str(next(iter(physics.template_yields(target, fit).values())))
    assert yields.splitlines()[1].split()[-2:] == ["error", "observed"]


@pytest.mark.thorough
def test_errors_are_those_of_the_hessian():
    """Of n on b alone, μ̂ = n / b ± √n / b."""
    fit = physics.maximum_likelihood(physics.from_pyhf(one_bin(22.0)))
    np.testing.assert_allclose(fit.values["mu"], 3.0, rtol=1e-8)
    np.testing.assert_allclose(fit.errors["mu"], 22**0.5 / 6, rtol=1e-8)


@pytest.mark.thorough
def test_p_values_are_those_of_pyhf(target):
    found = physics.hypothesis_test(target, np.array([1.0]))
    np.testing.assert_allclose(found.cls_b, 0.02332502, rtol=1e-4)
    np.testing.assert_allclose(found.cl_b, 0.4441594, rtol=1e-4)
    np.testing.assert_allclose(found.cls, 0.05251497, rtol=1e-4)
    bands = [[0.00260626, 0.01382005, 0.06445321, 0.23525644, 0.57303621]]
    np.testing.assert_allclose(found.expected_cls, bands, rtol=1e-4)
    printed = str(found).splitlines()
    assert printed[0] == "CLs of a signal strength, asymptotic"
    assert printed[2].split()[:3] == ["[0]", "0.052516", "0.0026064"]
    assert "Background alone" in str(physics.discovery_test(target))


@pytest.mark.thorough
def test_limits_solve_for_the_level(target):
    limit = physics.upper_limit(target)
    assert str(limit).startswith(
        "Upper limit of μ at 95 % confidence (CLs)\n  observed"
    )
    # Of pyhf's documentation, where they are known to 1 %.
    np.testing.assert_allclose(limit.observed, 1.01156939, rtol=0.01)
    bands = [0.5600747, 0.75702605, 1.06234693, 1.50116923, 2.05078912]
    np.testing.assert_allclose(limit.expected, bands, rtol=0.01)
    strengths = np.array([limit.observed, *limit.expected])
    tested = physics.hypothesis_test(target, strengths)
    np.testing.assert_allclose(tested.cls[0], 0.05, rtol=1e-6)
    np.testing.assert_allclose(np.diag(tested.expected_cls[1:]), 0.05, rtol=1e-6)


@pytest.mark.thorough
def test_a_signal_that_adds_nothing_has_no_limit():
    spec = one_bin()
    spec["channels"][0]["samples"][0]["data"] = [0.0]
    limit = physics.upper_limit(physics.from_pyhf(spec))
    assert np.isnan([limit.observed, *limit.expected]).all()


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_an_estimate_at_the_upper_bound_gives_no_numbers():
    """100 counts on 4 + 6 μ have their maximum at 16, beyond the workspace's 10."""
    target = physics.from_pyhf(one_bin(100.0))
    limit = physics.upper_limit(target)
    tested = physics.hypothesis_test(target, 17.0)
    assert np.isnan([limit.observed, tested.cls]).all()
    assert np.isnan(physics.discovery_test(target)).all()


def test_each_statistic_has_its_lower_bound(target):
    with pytest.raises(ValueError, match=r"interest = 0\.0 is not valid: q is for one"):
        physics.hypothesis_test(target, 1.0, statistic="q")
    spec = one_bin()
    parameters = [{"name": "mu", "bounds": [[-0.5, 10.0]]}]
    spec["measurements"][0]["config"]["parameters"] = parameters
    below = physics.from_pyhf(spec)
    with pytest.raises(ValueError, match=r"interest = -0\.5 is not valid: qtilde is"):
        physics.upper_limit(below)
    # Of n on 4 + 6 μ: t(μ) by the closed form, above the estimate.
    found = physics.hypothesis_test(below, 1.0, statistic="q")
    np.testing.assert_allclose(found.statistic, 2 * (6 * np.log(0.6) + 4), rtol=1e-7)


def test_discovery_is_by_the_closed_form():
    """Of a known background: √(2 (n log(n/b) − n + b)), also for the Asimov data."""
    found = physics.discovery_test(physics.from_pyhf(one_bin(11.0)))
    wanted = [(2 * (n * np.log(n / 4) - n + 4)) ** 0.5 for n in (11.0, 10.0)]
    np.testing.assert_allclose(found.significance, wanted[0], rtol=1e-7)
    np.testing.assert_allclose(found.expected_significance, wanted[1], rtol=1e-7)
    np.testing.assert_allclose(found.p_value, stats.norm.sf(wanted[0]), rtol=1e-6)
    deficit = physics.discovery_test(physics.from_pyhf(one_bin(3.0)))
    np.testing.assert_allclose(deficit.p_value, 0.5)


@pytest.mark.thorough
def test_profile_is_the_ratio_of_likelihoods():
    values = np.array([0.5, 1.0, 3.0])
    profile = physics.profile_scan(physics.from_pyhf(one_bin(22.0)), values)
    rate = 6 * values + 4
    wanted = 2 * (22 * np.log(22 / rate) - 22 + rate)
    np.testing.assert_allclose(profile.statistic, wanted, rtol=1e-8, atol=1e-9)


def two_maxima(high, low, counts):
    """Both ends of a systematic raise the first bin, and so fit it at two values.

    Returns the target, and the exact t(μ) by a grid of the systematic's values.
    """
    signal, background = two_bins()["channels"][0]["samples"]
    ends = {"hi_data": high, "lo_data": low}
    tilt = {"name": "tilt", "type": "histosys", "data": ends}
    signal["data"] = [0.0, 20.0]
    background |= {"data": [400.0, 100.0], "modifiers": [tilt]}
    channel = {"name": "region", "samples": [signal, background]}
    target = physics.from_pyhf(workspace([channel], {"region": counts}))
    alpha = np.linspace(-4, 4, 80_001)
    code4p = alpha**2 * (3 * alpha**4 - 10 * alpha**2 + 15) / 8
    bend = np.where(abs(alpha) > 1, abs(alpha), code4p)
    high, low, nominal = (np.array(x)[:, None] for x in (high, low, [400, 100]))
    rates = nominal + (high - low) / 2 * alpha + ((high + low) / 2 - nominal) * bend
    prior = stats.norm.logpdf(alpha)

    def twice(mu):
        signal = np.array([[0.0], [20.0 * mu]])
        logs = stats.poisson.logpmf(np.array(counts)[:, None], rates + signal)
        return -2 * np.max(logs.sum(axis=0) + prior)

    lowest = min(twice(one) for one in np.linspace(0, 3, 601))
    return target, lambda mu: twice(mu) - lowest


@pytest.mark.slow
def test_of_two_maxima_the_higher_one_is_found():
    """With a signal the one is higher, without it the other."""
    target, exact = two_maxima([460.0, 92.0], [450.0, 108.0], [445.0, 112.0])
    mu = np.array([0.0, 0.2, 1.5])
    wanted = [exact(one) for one in mu]
    for found, one in (
        (physics.profile_scan(target, mu), wanted),
        (physics.discovery_test(target), wanted[0]),
        (physics.hypothesis_test(target, 1.5), wanted[2]),
    ):
        np.testing.assert_allclose(found.statistic, one, atol=1e-3)
    for case in (
        ([431.0, 110.0], [465.0, 97.0], [465.0, 121.0]),
        ([452.0, 80.0], [424.0, 103.0], [464.0, 118.0]),
    ):
        target, exact = two_maxima(*case)
        found = physics.discovery_test(target)
        np.testing.assert_allclose(found.statistic, exact(0.0), atol=1e-3)
    target, exact = two_maxima([469.0, 111.0], [442.0, 89.0], [423.0, 92.0])
    found = physics.toy_test(jax.random.key(0), target, 0.9, num_toys=10)
    np.testing.assert_allclose(found.statistic, exact(0.9), atol=1e-3)


@pytest.mark.thorough
def test_impacts_are_those_of_fits_one_error_away():
    target = physics.from_pyhf(two_bins())
    found = physics.impacts(target)
    assert found.names == ("shape[1]", "shape[0]")
    fit = physics.maximum_likelihood(target)
    shape = fit.values["shape"] + np.array([0.0, fit.errors["shape"][1]])
    moved = physics.profile_scan(target, shape[1:], parameter="shape[1]")
    np.testing.assert_allclose(
        found.up[0], moved.theta[0, 0] - fit.values["mu"], rtol=1e-6
    )
    np.testing.assert_allclose(found.pulls[0], (fit.values["shape"][1] - 1) / 0.2)
    np.testing.assert_allclose(found.pull_errors[0], fit.errors["shape"][1] / 0.2)


@pytest.mark.thorough
def test_yields_and_their_errors_are_those_of_propagation():
    """Of n = μ s + b the fitted total is n ± √n; before the fit it has no error."""
    target = physics.from_pyhf(one_bin(22.0))
    before = physics.template_yields(target)["region"]
    np.testing.assert_allclose(before.samples["signal"], [6.0])
    np.testing.assert_allclose((before.total[0], before.error[0]), (10.0, 0.0))
    fit = physics.maximum_likelihood(target)
    after = physics.template_yields(target, fit)["region"]
    np.testing.assert_allclose((after.total[0], after.error[0]), (22.0, 22**0.5))
    np.testing.assert_allclose(after.observed, [22.0])
    shapes = physics.template_yields(physics.from_pyhf(two_bins()))["region"]
    np.testing.assert_allclose(shapes.error, [5.0, 12.0])
    wide = two_bins()  # an error above its yield, so that τ < 1
    wide["channels"][0]["samples"][1]["modifiers"][0]["data"] = [80.0, 12.0]
    shapes = physics.template_yields(physics.from_pyhf(wide))["region"]
    np.testing.assert_allclose(shapes.error, [80.0, 12.0])


@pytest.mark.slow
@pytest.mark.parametrize("count", [3.0, 5.0])
def test_toys_of_a_counting_experiment_are_exact(count):
    """q falls with the count, so that P(q ≥ q_obs | μ) = P(N ≤ n | μ s + b).

    Toys of the data's own count are among them, though of 3 their q comes out lower
    by a rounding.
    """
    target = physics.from_pyhf(one_bin(count))
    found = physics.toy_test(jax.random.key(0), target, 1.0, num_toys=1000)
    for share, error, rate in (
        (found.cls_b, found.cls_b_se, 10.0),
        (found.cl_b, found.cl_b_se, 4.0),
    ):
        exact = stats.poisson.cdf(count, rate)
        assert abs(share - exact) < 3 * error
        np.testing.assert_allclose(error, (exact * (1 - exact) / 1000) ** 0.5, rtol=0.1)
    np.testing.assert_allclose(found.cls, found.cls_b / found.cl_b)


@pytest.mark.thorough
def test_posterior_limit_is_that_of_a_grid():
    target = physics.from_pyhf(one_bin())
    grid = np.linspace(0, 10, 200_001)
    rate = 6 * grid + 4
    cdf = np.cumsum(rate**6 * np.exp(-rate))
    wanted = np.interp(0.95, cdf / cdf[-1], grid)
    fit = vi.fit(target, jax.random.key(0))
    found = physics.posterior_upper_limit(fit)
    assert found.trusted
    assert found.standard_error < 0.02
    assert abs(found.limit - wanted) < 3 * found.standard_error


@pytest.mark.thorough
def test_same_numbers_in_float32_sessions_and_under_jit(target, x64):
    one = physics.hypothesis_test(target, 1.0).cls
    wide = physics.from_pyhf(documented())
    traced = jax.jit(lambda t: physics.hypothesis_test(t, jnp.array(1.0)).cls)(wide)
    np.testing.assert_allclose(one, traced, rtol=1e-6)


@pytest.mark.slow
def test_a_traced_strength_is_tested_in_float32_sessions(target, float32):
    for mu in (np.array(1.0), np.array([0.5, 1.0, 2.0])):
        one = physics.hypothesis_test(target, mu)
        traced = jax.jit(lambda mu: physics.hypothesis_test(target, mu))(mu)
        np.testing.assert_allclose(one.cls, traced.cls, rtol=1e-4)
        np.testing.assert_allclose(one.expected_cls, traced.expected_cls, rtol=1e-4)


def test_bad_arguments_are_named(target, as_users_do):
    with pytest.raises(ValueError, match="statistic = 'tmu' is not one of"):
        physics.hypothesis_test(target, 1.0, statistic="tmu")
    with pytest.raises(ValueError, match="mu = nan is not valid"):
        physics.hypothesis_test(target, np.nan)
    with pytest.raises(ValueError, match=r"level = 1.5 is not valid"):
        physics.upper_limit(target, level=1.5)
    with pytest.raises(ValueError, match="'nu' is not one of"):
        physics.profile_scan(target, np.ones(2), parameter="nu")
    with pytest.raises(ValueError, match=r"'shape' have shape \(3,\): give one, or 2"):
        physics.maximum_likelihood(target, fixed={"shape": np.ones(3)})
    with pytest.raises(ValueError, match=r"fixed\['mu'\] = nan is not valid"):
        physics.maximum_likelihood(target, fixed={"mu": np.nan})
    for shape in (np.ones(3), np.ones((2, 1)), 1.0):
        with pytest.raises(ValueError, match=r"'shape' have shape .* give 2 entries"):
            physics.expected_counts(target, {"shape": shape})
    for function in (physics.hypothesis_test, physics.profile_scan):
        with pytest.raises(ValueError, match="are empty: give at least one"):
            function(target, np.ones(0))
    with pytest.raises(ValueError, match="give one finite signal strength"):
        physics.toy_test(jax.random.key(0), target, np.ones(2))
    with pytest.raises(ValueError, match="has no nuisance parameters"):
        physics.impacts(physics.from_pyhf(one_bin()))
    with pytest.raises(ValueError, match="num_toys = 3 is not valid"):
        physics.toy_test(jax.random.key(0), target, 1.0, num_toys=3)
    other = vi.from_log_density(lambda p: -(p["x"] ** 2), {"x": 0.0})
    with pytest.raises(ValueError, match=r"give one from vijax\.physics\.from_pyhf"):
        physics.maximum_likelihood(other)
    spec = workspace(one_bin()["channels"], {"region": [6.0]})
    spec["measurements"][0]["config"]["poi"] = ""
    with pytest.raises(ValueError, match="names no parameter of interest"):
        physics.hypothesis_test(physics.from_pyhf(spec), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "energies"), [(0, []), (2, [-1.3])])
def test_tests_with_every_modifier_are_those_of_pyhf(seed, energies):
    """pyhf fits from one start: from another, of seed 2, it ends higher.

    The fit of the Asimov data at μ is the better one where it leaves CLs larger.
    """
    spec = random_workspace(seed)
    model, data = read(spec)
    starts = [model.config.suggested_init()]
    for energy in energies:
        other = np.array(starts[0], float)
        other[model.config.par_slice("energy")] = energy
        starts.append(other.tolist())
    target = physics.from_pyhf(spec)
    fit = physics.maximum_likelihood(target)
    _, value = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
    assert fit.converged
    assert -2 * fit.log_likelihood < value + 1e-4
    found = physics.hypothesis_test(target, np.array([0.5, 2.0]), statistic="q")
    for mu, cls, band in zip([0.5, 2.0], found.cls, found.expected_cls, strict=True):
        of_starts = [
            pyhf.infer.hypotest(
                mu, data, model, start, test_stat="q", return_expected_set=True
            )
            for start in starts
        ]
        one, bands = max(of_starts, key=lambda both: both[1][2])
        np.testing.assert_allclose(cls, one, atol=1e-4)
        np.testing.assert_allclose(band, bands, atol=1e-4)


@pytest.mark.slow
def test_toys_are_those_of_pyhf():
    """300 toys of pyhf: within 4 of the standard errors of both together."""
    spec = two_bins()
    model, data = read(spec)
    np.random.seed(0)  # noqa: NPY002 - pyhf draws from NumPy's global generator
    calculator = pyhf.infer.calculators.ToyCalculator(
        data, model, ntoys=300, track_progress=False
    )
    statistic = calculator.teststatistic(2.0)
    cls_b, cl_b, _ = calculator.pvalues(statistic, *calculator.distributions(2.0))
    found = physics.toy_test(jax.random.key(0), physics.from_pyhf(spec), 2.0)
    np.testing.assert_allclose(found.statistic, statistic, rtol=1e-4)
    for ours, error, theirs in (
        (found.cls_b, found.cls_b_se, cls_b),
        (found.cl_b, found.cl_b_se, cl_b),
    ):
        assert abs(ours - theirs) < 4 * np.hypot(error, (0.25 / 300) ** 0.5)
