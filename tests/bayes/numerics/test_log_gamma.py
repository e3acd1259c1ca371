"""Log probabilities of counts against mpmath at 60 digits, from 1e-8 to 1e12."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from vijax.bayes.numerics import count_pmfs, log_densities, log_gamma

mp.mp.dps = 60
NUM = 40


def mp_log_gamma(x):
    return mp.loggamma(mp.mpf(float(x)))


def log_gamma_cross(x, d, e):
    x, d, e = map(mp.mpf, (float(x), float(d), float(e)))
    gammas = mp.loggamma(x + d + e), mp.loggamma(x + d), mp.loggamma(x + e)
    return gammas[0] - gammas[1] - gammas[2] + mp.loggamma(x)


def gamma_poisson(k, a, b, t):
    k, a, b, t = map(mp.mpf, map(float, (k, a, b, t)))
    gammas = mp.loggamma(a + k) - mp.loggamma(a) - mp.loggamma(k + 1)
    return gammas + a * mp.log(b / (b + t)) + k * mp.log(t / (b + t))


def log_beta_ratio(k, m, a, b):
    k, m, a, b = map(mp.mpf, map(float, (k, m, a, b)))
    after = mp.loggamma(a + k) + mp.loggamma(b + m) - mp.loggamma(a + b + k + m)
    return after - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b)


def beta_binomial(k, m, a, b):
    coefficient = mp_log_gamma(k + m + 1) - mp_log_gamma(k + 1) - mp_log_gamma(m + 1)
    return coefficient + log_beta_ratio(k, m, a, b)


def poisson(k, mean):
    k, mean = mp.mpf(float(k)), mp.mpf(float(mean))
    return k * mp.log(mean) - mean - mp.loggamma(k + 1)


def beta_density(a, b, x):
    a, b, x = map(mp.mpf, map(float, (a, b, x)))
    gammas = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    return gammas + (a - 1) * mp.log(x) + (b - 1) * mp.log(1 - x)


def gamma_density(a, x):
    a, x = mp.mpf(float(a)), mp.mpf(float(x))
    return (a - 1) * mp.log(x) - x - mp.loggamma(a)


def of_pair(function):
    return lambda k, m, a, b: function(jnp.stack([k, m], -1), jnp.stack([a, b], -1))


def log_uniform(low, high):
    return lambda rng: 10 ** rng.uniform(low, high, NUM)


def count(high):
    return lambda rng: np.floor(10 ** rng.uniform(-1, high, NUM))


def unit(rng):
    return rng.uniform(size=NUM)


PARAMETER = log_uniform(-8, 12)
FUNCTIONS = {
    "log_gamma_cross": (log_gamma.log_gamma_cross, log_gamma_cross, [PARAMETER] * 3),
    "poisson": (count_pmfs.poisson_log_pmf, poisson, [count(12), PARAMETER]),
    "gamma_poisson": (
        count_pmfs.gamma_poisson_log_pmf,
        gamma_poisson,
        [count(12), PARAMETER, log_uniform(-8, 8), log_uniform(-3, 8)],
    ),
    "beta_binomial": (
        of_pair(count_pmfs.dirichlet_multinomial_log_pmf),
        beta_binomial,
        [count(12), count(12), PARAMETER, PARAMETER],
    ),
    "beta_ratio": (
        of_pair(count_pmfs.log_dirichlet_ratio),
        log_beta_ratio,
        [count(12), count(12), PARAMETER, PARAMETER],
    ),
    "beta_density": (
        log_densities.beta_log_density,
        beta_density,
        [PARAMETER, PARAMETER, unit],
    ),
    "gamma_density": (log_densities.gamma_log_density, gamma_density, [PARAMETER] * 2),
}
# What is hardest: near the mean at 1e12, and log p near 0.
HARD_PAIRS = [
    (5e11 + 3e5, 5e11 - 3e5, 1e12, 1e12),
    (1e12 - 1, 1.0, 1.0, 1.0),
    (1e12, 0.0, 1e-8, 1e-8),
    (0.0, 1.0, 1e-8, 5.0),
    (2.0, 0.0, 6e4, 1e-8),
    (3e11, 7e11, 0.5, 0.5),
]


def errors(function, reference, arguments):
    values = np.asarray(jax.jit(function)(*arguments))
    truth = [reference(*row) for row in zip(*arguments, strict=True)]
    gaps = [abs(mp.mpf(float(v)) - t) for v, t in zip(values, truth, strict=True)]
    relative = [float(g / abs(t or 1)) for g, t in zip(gaps, truth, strict=True)]
    return np.array(relative), np.array([float(g) for g in gaps])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_x64(name, x64):
    function, reference, draws = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    relative, gaps = errors(function, reference, [draw(rng) for draw in draws])
    # log_gamma_cross reaches 1e-16 nats: there the absolute error counts.
    assert np.max(np.minimum(relative, gaps * 1e5)) < 1e-11


@pytest.mark.parametrize("name", ["beta_binomial", "beta_ratio"])
def test_x64_where_digits_cancel(name, x64):
    function, reference, _ = FUNCTIONS[name]
    relative, _ = errors(function, reference, list(np.array(HARD_PAIRS).T))
    assert relative.max() < 1e-11


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["poisson", "gamma_poisson", "beta_binomial"])
def test_float32(name):
    """Counts to 1e6: relative 1e-5, or absolute 1e-5 where log p is small."""
    function, reference, draws = FUNCTIONS[name]
    rng = np.random.default_rng(2)
    narrow = [log_uniform(-2, 4) if draw is PARAMETER else draw for draw in draws]
    arguments = [draw(rng).astype(np.float32) for draw in narrow]
    arguments = [np.minimum(argument, 1e6) for argument in arguments]
    relative, gaps = errors(function, reference, arguments)
    assert np.max(np.minimum(relative, gaps)) < 1e-5


@pytest.mark.slow
def test_gradients_of_a_beta_binomial(x64):
    """d log p / da = ψ(a + k) - ψ(a) - ψ(a + b + n) + ψ(a + b)."""
    function = FUNCTIONS["beta_binomial"][0]
    for k, m, a, b in [
        (10.0, 4.0, 2.0, 3.0),
        (0.0, 4.0, 0.5, 2.0),
        (1e9, 1e9, 3.0, 7.0),
    ]:
        gradient = jax.jit(jax.grad(function, argnums=2))(
            *map(jnp.asarray, (k, m, a, b))
        )
        truth = mp.psi(0, a + k) - mp.psi(0, a)
        truth += mp.psi(0, a + b) - mp.psi(0, a + b + k + m)
        np.testing.assert_allclose(gradient, float(truth), rtol=1e-9)


def test_second_derivative_is_finite(x64):
    function = FUNCTIONS["gamma_poisson"][0]
    curvature = jax.jit(jax.grad(jax.grad(function, argnums=1), argnums=1))
    for k in (0.0, 5.0):
        value = curvature(*map(jnp.asarray, (k, 2.0, 1.5, 1.0)))
        truth = mp.psi(1, 2 + k) - mp.psi(1, 2)
        np.testing.assert_allclose(value, float(truth), rtol=1e-9, atol=1e-12)
