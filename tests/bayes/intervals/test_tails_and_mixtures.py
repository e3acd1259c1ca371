"""Quantiles from both tails of every family, and the regions of mixtures."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from tests.cases import slow_except
from vijax.bayes.conjugate.gamma_exponential import Lomax
from vijax.bayes.conjugate.pareto_uniform import UniformPareto
from vijax.bayes.intervals import credible_interval, quantile, upper_quantile


class Inverse:
    """A reference whose lower tail is known: its quantiles from both sides.

    SciPy 1.14 loses the tails of Cauchy's and Student's below 1e-16.
    """

    def __init__(self, lower_tail, loc, scale):
        self.lower_tail, self.loc, self.scale = lower_tail, loc, scale

    def ppf(self, p):
        lower = self.lower_tail(np.minimum(p, 1 - p))
        return self.loc + self.scale * np.where(p < 0.5, lower, -lower)

    def isf(self, q):
        return 2 * self.loc - self.ppf(q)


@np.vectorize
def student_3(p):
    """Return the p-quantile of Student's t with 3 degrees of freedom, p ≤ ½."""
    with mp.workdps(50):
        p = mp.mpf(float(p))
        if p == 0.5:
            return 0.0

        def excess(t):  # P(T < −t) = (arctan(√3/t) − √3 t/(t² + 3))/π
            return mp.atan(mp.sqrt(3) / t) - mp.sqrt(3) * t / (t**2 + 3) - mp.pi * p

        far = (2 * mp.sqrt(3) / (mp.pi * p)) ** (mp.mpf(1) / 3)  # 2√3/(π t³) = p
        return -float(mp.findroot(excess, (far / 4, far), solver="anderson"))


FAMILIES = {
    "exponential": (lambda: dist.Exponential(2.0), stats.expon(scale=0.5)),
    "pareto": (lambda: dist.Pareto(2.0, 3.0), stats.pareto(3.0, scale=2.0)),
    "lomax": (lambda: Lomax(3.0, 4.0), stats.lomax(3.0, scale=4.0)),
    "log_normal": (
        lambda: dist.LogNormal(0.3, 0.7),
        stats.lognorm(0.7, scale=np.exp(0.3)),
    ),
    "half_cauchy": (lambda: dist.HalfCauchy(2.0), stats.halfcauchy(scale=2.0)),
    "half_normal": (lambda: dist.HalfNormal(2.0), stats.halfnorm(scale=2.0)),
    "cauchy": (
        lambda: dist.Cauchy(1.0, 2.0),
        Inverse(lambda p: -1 / np.tan(np.pi * p), 1.0, 2.0),
    ),
    "laplace": (lambda: dist.Laplace(1.0, 2.0), stats.laplace(1.0, 2.0)),
    "logistic": (lambda: dist.Logistic(1.0, 2.0), stats.logistic(1.0, 2.0)),
    "gumbel": (lambda: dist.Gumbel(1.0, 2.0), stats.gumbel_r(1.0, 2.0)),
    "weibull": (lambda: dist.Weibull(2.0, 1.5), stats.weibull_min(1.5, scale=2.0)),
    "levy": (lambda: dist.Levy(1.0, 2.0), stats.levy(1.0, 2.0)),
    "uniform": (lambda: dist.Uniform(1.0, 3.0), stats.uniform(1.0, 2.0)),
    "normal": (lambda: dist.Normal(1.0, 2.0), stats.norm(1.0, 2.0)),
    "student": (
        lambda: dist.StudentT(3.0, 1.0, 2.0),
        Inverse(student_3, 1.0, 2.0),
    ),
    "gamma": (lambda: dist.Gamma(2.0, 3.0), stats.gamma(2.0, scale=1 / 3)),
    "expanded": (
        lambda: dist.Gamma(2.0, 3.0).expand([1]),
        stats.gamma(2.0, scale=1 / 3),
    ),
    "cut": (
        lambda: dist.TruncatedNormal(1.0, 2.0, low=0.0, high=3.0),
        stats.truncnorm(-0.5, 1.0, loc=1.0, scale=2.0),
    ),
}
TAILS = np.array([1e-30, 1e-20, 1e-9, 0.01, 0.5, 0.9])


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
def test_both_tails(name, x64):
    make, exact = FAMILIES[name]
    rtol = 1e-9 if name == "cut" else 1e-11
    np.testing.assert_allclose(upper_quantile(make(), TAILS), exact.isf(TAILS), rtol)
    q = TAILS[3:] if name == "half_normal" else TAILS  # SciPy's own is 0 at 1e-20
    np.testing.assert_allclose(quantile(make(), q), exact.ppf(q), rtol, atol=1e-14)


def test_the_upper_tail_of_what_was_cut(x64):
    """SciPy's ends at 1e-16: P(X > x) = q P(X > low)."""
    cut = dist.TruncatedNormal(1.0, 2.0, low=3.0)
    exact = 1 + 2 * stats.norm.isf(TAILS * stats.norm.sf(1.0))
    np.testing.assert_allclose(upper_quantile(cut, TAILS), exact, rtol=1e-11)


def test_upper_tails_of_the_issue(float32):
    """q = 1e-30 and 1e-20, of which 1 - q is 1 in every float."""
    cases = [
        (dist.Exponential(1.0), 1e-30, 30 * np.log(10)),
        (dist.Pareto(1.0, 2.0), 1e-20, 1e10),
        (UniformPareto(1.0, 2.0), 1e-20, 1e10 / np.sqrt(3)),
    ]
    for distribution, q, expected in cases:
        np.testing.assert_allclose(upper_quantile(distribution, q), expected, rtol=1e-5)


def test_a_tail_that_nobody_knows_is_refused(x64, nan_is_an_answer):
    with pytest.raises(ValueError, match=r"q = 1e-20.*SoftLaplace"):
        upper_quantile(dist.SoftLaplace(0.0, 1.0), 1e-20)
    traced = jax.jit(lambda q: upper_quantile(dist.SoftLaplace(0.0, 1.0), q))
    assert np.isnan(traced(1e-20))
    assert np.isfinite(traced(0.01))
    with pytest.raises(ValueError, match="VonMises, which has no quantiles"):
        quantile(dist.VonMises(0.0, 1.0), 0.5)


@pytest.mark.parametrize("bits", slow_except({64}, [32, 64]))
def test_student_tends_to_the_normal(bits):
    """0 and 1.9531 came out in float32, for 1e9 and 1e6 degrees of freedom."""
    with jax.enable_x64(bits == 64):
        dof = np.array([1e3, 1e6, 1e9, 1e12, 1e17])
        found = quantile(dist.StudentT(dof, 0.0, 1.0), 0.975)
        z = stats.norm.ppf(0.975)
        near = z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / dof**2
        near[0] = 1.9623390808264078  # R: qt(0.975, 1e3)
        np.testing.assert_allclose(found, near, rtol=1e-13 if bits == 64 else 1e-6)


@pytest.mark.slow
@mp.workdps(30)
def test_student_far_out_and_its_slopes(x64):
    for df, tail in ((0.5, 1e-8), (3.0, 1e-40), (200.0, 1e-40)):
        t = -quantile(dist.StudentT(df, 0.0, 1.0), tail)
        z = df / (df + mp.mpf(float(t)) ** 2)
        both = mp.betainc(df / 2, 0.5, 0, z, regularized=True)
        np.testing.assert_allclose(float(both / 2), tail, rtol=1e-12)
    slope = jax.grad(lambda q: quantile(dist.StudentT(4.0, 0.0, 1.0), q))(0.5)
    np.testing.assert_allclose(slope, 8 / 3, rtol=1e-12)
    slope_in_df = jax.jit(
        jax.grad(lambda df: quantile(dist.StudentT(df, 0.0, 1.0), 0.975))
    )
    for df in (3.0, 1e5, 1e10):
        step = 1e-3 * df
        numeric = (stats.t.ppf(0.975, df + step) - stats.t.ppf(0.975, df - step)) / step
        if df == 1e10:  # d/d(df) of (z³ + z) / (4 df)
            numeric = -2 * (1.959964**3 + 1.959964) / 4 / df**2
        np.testing.assert_allclose(slope_in_df(df), numeric / 2, rtol=2e-5)


def two_normals(gap=3.0, share=0.5, scale=1.0):
    weights = dist.CategoricalProbs(
        jnp.stack([jnp.asarray(1.0 - share), jnp.asarray(share)])
    )
    return dist.MixtureSameFamily(weights, dist.Normal(jnp.stack([-gap, gap]), scale))


def test_mixture_with_mass_below_zero(x64):
    """(-107.18, 4.645) came out."""
    mixture = two_normals()
    ends = credible_interval(mixture)
    np.testing.assert_allclose(ends, (-4.644853627, 4.644853627), rtol=1e-9)
    far = upper_quantile(mixture, 1e-30)
    np.testing.assert_allclose(far - 3, stats.norm.isf(2e-30), rtol=1e-13)


@pytest.mark.slow
def test_mixture_of_two_kinds(x64):
    general = dist.MixtureGeneral(
        dist.CategoricalProbs(jnp.array([0.3, 0.7])),
        [dist.Normal(-3.0, 1.0), dist.StudentT(2.0, 1.0, 0.5)],
    )
    for q in (1e-12, 0.2, 0.7, 1 - 1e-12):
        x = float(quantile(general, q))
        below = 0.3 * stats.norm.cdf(x, -3) + 0.7 * stats.t.cdf(x, 2, 1, 0.5)
        np.testing.assert_allclose(below, q, rtol=1e-12)


@pytest.mark.slow
def test_densest_region_of_a_mixture_has_two_intervals(x64, nan_is_an_answer):
    share, mass = 0.3, 0.9
    lower, upper = credible_interval(
        two_normals(share=share), mass, kind="highest_density"
    )
    assert lower.shape == upper.shape == (2,)

    def density(x):
        return (1 - share) * stats.norm.pdf(x, -3) + share * stats.norm.pdf(x, 3)

    heights = density(np.concatenate([lower, upper]))
    np.testing.assert_allclose(heights, heights[0], rtol=1e-10)
    cdf = lambda x: (1 - share) * stats.norm.cdf(x, -3) + share * stats.norm.cdf(x, 3)  # noqa: E731
    np.testing.assert_allclose((cdf(upper) - cdf(lower)).sum(), mass, rtol=1e-12)
    near = credible_interval(two_normals(gap=0.2), mass, kind="highest_density")
    assert near[0].shape == (1,)
    traced = jax.jit(lambda m: credible_interval(m, mass, kind="highest_density"))
    np.testing.assert_allclose(
        traced(two_normals(share=share))[0][:2], lower, rtol=1e-12
    )
    assert np.isnan(traced(two_normals(share=share))[0][2:]).all()


@pytest.mark.slow
def test_more_than_eight_modes(x64, nan_is_an_answer):
    weights = dist.CategoricalProbs(jnp.ones(12) / 12)
    comb = dist.MixtureSameFamily(weights, dist.Normal(10.0 * jnp.arange(12), 1.0))
    lower, upper = credible_interval(comb, kind="highest_density")
    np.testing.assert_allclose(lower + 1.9599639845, 10 * np.arange(12), atol=1e-8)
    np.testing.assert_allclose(upper - lower, 2 * 1.9599639845, rtol=1e-8)
    traced = jax.jit(lambda m: credible_interval(m, kind="highest_density"))(comb)
    assert np.isnan(traced).all()


@pytest.mark.slow
def test_batches_of_mixtures(x64, nan_is_an_answer):
    weights = dist.CategoricalProbs(jnp.array([0.5, 0.5]))
    locs = jnp.array([[-3.0, 3.0], [-0.1, 0.1]])
    batch = dist.MixtureSameFamily(weights, dist.Normal(locs, 1.0))
    lower, upper = credible_interval(batch, kind="highest_density")
    assert lower.shape == (2, 2)
    one = credible_interval(two_normals(gap=0.1), kind="highest_density")
    np.testing.assert_allclose((lower[1, 0], upper[1, 0]), np.ravel(one), rtol=1e-10)
    assert np.isnan(lower[1, 1])
    ends = credible_interval(batch)
    np.testing.assert_allclose(ends[1][0], 4.644853627, rtol=1e-9)


SMOOTH = {
    "beta": (lambda a: dist.Beta(a, 5.0), 11.0),  # quick: the slope in a Python float
    "log_normal": (lambda a: dist.LogNormal(0.3, a), 0.7),
    "gumbel": (lambda a: dist.Gumbel(0.0, a), 2.0),
    "weibull": (lambda a: dist.Weibull(2.0, a), 1.5),
    "two_normals": (lambda a: two_normals(gap=a, share=0.3), 3.0),
    "half_normal": (dist.HalfNormal, 2.0),
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    slow_except({"log_normal"}, SMOOTH),
)
def test_slopes_of_the_densest_region(name, x64):
    family, at = SMOOTH[name]

    @jax.jit
    def ends(parameter, mass):
        both = credible_interval(family(parameter), mass, kind="highest_density")
        return jnp.nan_to_num(jnp.stack(both))

    by_both = jax.jacfwd(ends, (0, 1))(at, 0.9)
    step = 1e-5
    numeric = (
        (ends(at + step, 0.9) - ends(at - step, 0.9)) / (2 * step),
        (ends(at, 0.9 + step) - ends(at, 0.9 - step)) / (2 * step),
    )
    for slope, expected in zip(by_both, numeric, strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_slope_in_a_python_float(x64):
    def lower(a):
        return credible_interval(dist.Beta(a, 5.0), kind="highest_density")[0]

    np.testing.assert_allclose(jax.grad(lower)(11.0), 0.02942891, rtol=1e-6)


@pytest.mark.thorough
def test_quantiles_of_draws_grids_and_joint_posteriors(x64, key):
    from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
    from vijax.bayes.grid import landscape

    draws = jnp.stack([jnp.arange(101.0), 2 * jnp.arange(101.0)], axis=1)
    np.testing.assert_allclose(quantile(draws, 0.25), [25.0, 50.0])
    np.testing.assert_allclose(upper_quantile(draws, [0.25, 0.5])[0], [75.0, 150.0])
    axis = landscape.axis(0.0, 4.0)
    flat = landscape.prior(lambda theta: 0.0, (axis,))
    np.testing.assert_allclose(quantile(flat, [0.25, 0.5]), [1.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(upper_quantile(flat, 0.25), 3.0, rtol=1e-12)
    both = quantile(NormalInverseGamma(1.5, 4.0, 3.5, 3.5), 0.975)
    np.testing.assert_allclose(both["loc"], stats.t(7, 1.5, 0.5).ppf(0.975), rtol=1e-10)


def of_normals(p):
    weights = dist.Categorical(probs=jnp.stack([p[0], 1 - p[0]]))
    return dist.MixtureSameFamily(weights, dist.Normal(p[1:3], p[3:5]))


@pytest.mark.thorough
def test_slopes_of_a_region_backwards(x64):
    """By `jax.grad` they were NaN, for the support has no end; by `jax.jvp` right."""
    at, step = jnp.array([0.4, -3.0, 3.0, 1.0, 1.2]), 1e-5

    @jax.jit
    def last(p):
        return jnp.nanmax(
            credible_interval(of_normals(p), 0.9, kind="highest_density")[1]
        )

    numeric = [(last(at + h) - last(at - h)) / (2 * step) for h in step * jnp.eye(5)]
    np.testing.assert_allclose(jax.grad(last)(at), numeric, rtol=1e-6, atol=1e-8)


FALLING = {  # the densest part begins, or ends, where the support does
    "half_cauchy": (dist.HalfCauchy, 2.0),
    "pareto": (lambda a: dist.Pareto(2.0, a), 3.0),
    "kumaraswamy_rises": (lambda a: dist.Kumaraswamy(3.0, a), 0.5),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except({"half_cauchy", "pareto"}, FALLING))
def test_slopes_where_the_support_ends_backwards(name, x64):
    """Where one was NaN it hid behind a `where`, whose other branch is infinite."""
    family, at = FALLING[name]

    @jax.jit
    def ends(parameter, mass):
        both = credible_interval(family(parameter), mass, kind="highest_density")
        return jnp.stack(both)

    step = 1e-5
    numeric = (
        (ends(at + step, 0.9) - ends(at - step, 0.9)) / (2 * step),
        (ends(at, 0.9 + step) - ends(at, 0.9 - step)) / (2 * step),
    )
    for slope, expected in zip(jax.jacrev(ends, (0, 1))(at, 0.9), numeric, strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_slopes_of_a_mixture_of_equal_components(x64):
    """They were those of either component, half and half, whatever the weights."""
    at = jnp.array([0.3, 0.0, 0.0, 1.0, 1.0])
    slopes = jax.grad(lambda p: quantile(of_normals(p), 0.975))(at)
    z = stats.norm.ppf(0.975)
    expected = [0.0, 0.3, 0.7, 0.3 * z, 0.7 * z]
    np.testing.assert_allclose(slopes, expected, rtol=1e-10, atol=1e-12)


def test_uniform_is_central(x64):
    ends = credible_interval(dist.Uniform(1.0, 3.0), 0.9, kind="highest_density")
    np.testing.assert_allclose(ends, (1.1, 2.9), rtol=1e-12)
    high = jax.grad(lambda h: credible_interval(dist.Uniform(1.0, h), 0.9)[1])(3.0)
    np.testing.assert_allclose(high, 0.95, rtol=1e-12)


def test_shapes_that_do_not_fit_say_so(as_users_do):
    with pytest.raises(ValueError, match=r"q has shape \(3,\)"):
        quantile(dist.Beta(jnp.ones(2), 1.0), [0.1, 0.2, 0.3])


@pytest.mark.thorough
@pytest.mark.parametrize("q", [0.0, 1.0])
def test_the_ends_of_a_mixture_do_not_move(q, x64):
    """The support of Gammas is that of all of them; backwards it was NaN."""

    def end(q, a):
        gammas = dist.Gamma(jnp.stack([a, 2 * a]), jnp.array([1.0, 2.0]))
        weights = dist.CategoricalProbs(jnp.stack([0.1 * a, 1 - 0.1 * a]))
        return quantile(dist.MixtureSameFamily(weights, gammas), q)

    assert end(q, 3.0) == (jnp.inf if q else 0.0)
    assert jax.grad(end, argnums=(0, 1))(q, 3.0) == (0.0, 0.0)
    two = jnp.array([0.5, q])  # beside a place inside, whose slope stays
    slope = jax.grad(lambda a: end(two, a)[0])(3.0)
    change = (end(0.5, 3.0 + 1e-5) - end(0.5, 3.0 - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope, change, rtol=1e-7)
