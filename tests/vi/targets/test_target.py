"""Targets: the same density as NumPyro's own, compiled once, mistakes named."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer.util import potential_energy

from vijax import vi

X, Y = np.linspace(-1.0, 1.0, 6), np.array([0.1, -0.5, 0.4, 1.0, 0.9, 2.0])
TRACES = {"count": 0}


def rich(x, y, groups):
    """Constraints of every kind, plates, a factor, a mask, a dependent support."""
    TRACES["count"] += 1
    with numpyro.plate("groups", groups):
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    upper = numpyro.sample("upper", dist.Uniform(0.0, 1.0 + scale))
    numpyro.sample("corr", dist.LKJCholesky(3, 2.0))
    numpyro.factor("extra", -(upper**2))
    numpyro.deterministic("mean_level", level.mean())
    with numpyro.plate("data", len(x)), handlers.mask(mask=x > -0.9):
        loc = level[0] + weights[0] * x
        numpyro.sample("y", dist.Normal(loc, scale), obs=y)


def test_the_model_is_traced_once_for_all_programs():
    target = vi.from_numpyro(rich, X, y=Y, groups=2)
    position = 0.1 * jnp.ones(target.dim)
    expected = jax.jit(target.log_density)(position)
    before = TRACES["count"]
    np.testing.assert_allclose(target.log_density(position), expected, rtol=1e-6)
    jax.jit(jax.vmap(jax.grad(target.log_density)))(position[None])
    jax.eval_shape(jax.hessian(target.log_density), position)
    assert TRACES["count"] == before


@pytest.mark.slow
def test_log_density_and_values_are_numpyros(x64):
    target = vi.from_numpyro(rich, X, y=Y, groups=2)
    assert target.dim == 2 + 1 + 2 + 1 + 3
    position = jax.random.normal(jax.random.key(1), (target.dim,))
    params = target.unravel(position)
    energy = potential_energy(rich, (X, Y, 2), {}, params)
    np.testing.assert_allclose(target.log_density(position), -energy, rtol=1e-12)
    values = target.constrain(position)
    assert set(values) == {"level", "scale", "weights", "upper", "corr", "mean_level"}
    np.testing.assert_allclose(values["scale"], np.exp(params["scale"]))
    np.testing.assert_allclose(values["weights"].sum(), 1.0)
    assert 0 < values["upper"] < 1 + values["scale"]
    np.testing.assert_allclose(values["mean_level"], values["level"].mean())


@pytest.mark.thorough
def test_other_data_of_the_same_shape_traces_nothing():
    density = jax.jit(lambda target: target.log_density(target.init))
    density(vi.from_numpyro(rich, X, Y, 2))
    before = TRACES["count"]
    first = density(vi.from_numpyro(rich, X, Y, 2))
    second = density(vi.from_numpyro(rich, X, Y + 1, 2))
    assert TRACES["count"] == before
    assert first != second


def coin(prior, successes, trials):
    TRACES["count"] += 1
    probs = numpyro.sample("probs", prior)
    numpyro.sample("successes", dist.Binomial(trials, probs), obs=successes)


@pytest.mark.thorough
def test_counts_and_priors_are_data_too():
    density = jax.jit(lambda target: target.log_density(target.init))
    density(vi.from_numpyro(coin, dist.Beta(1.0, 1.0), 10, 14))
    before = TRACES["count"]
    value = density(vi.from_numpyro(coin, dist.Beta(2.0, 3.0), 7, 10))
    assert TRACES["count"] == before
    # At p = 1/2: Beta(2, 3) has 12/8, the data C(10, 7)/2^10, and dp/du = 1/4.
    np.testing.assert_allclose(value, np.log(12 / 8 * 120 / 1024 / 4), rtol=1e-5)


def gamma(concentration, rate):
    numpyro.sample("x", dist.Gamma(concentration, rate).expand([2]).to_event(1))


@pytest.mark.thorough
@pytest.mark.parametrize("positive", ["exp", "softplus"])
def test_both_maps_of_the_positive_line_keep_the_mass(x64, positive):
    target = vi.from_numpyro(gamma, 2.5, 4.2).with_positive(positive)
    line = jnp.linspace(-30.0, 30.0, 301)
    grid = jnp.stack(jnp.meshgrid(line, line), -1).reshape(-1, 2)
    mass = jnp.exp(jax.vmap(target.log_density)(grid)).sum() * (line[1] - line[0]) ** 2
    np.testing.assert_allclose(mass, 1.0, rtol=1e-6)
    x = target.constrain(jnp.array([1.5, -2.0]))["x"]
    expected = {"exp": np.exp, "softplus": lambda u: np.log1p(np.exp(u))}[positive]
    np.testing.assert_allclose(x, expected(np.array([1.5, -2.0])))


@pytest.mark.thorough
def test_partial_of_a_model_is_its_function_and_arguments():
    density = jax.jit(lambda target: target.log_density(target.init))
    a = vi.from_numpyro(partial(coin, dist.Beta(1.0, 1.0), trials=14), 10)
    b = vi.from_numpyro(partial(coin, dist.Beta(1.0, 1.0), trials=14), 11)
    assert a.static == b.static
    assert density(a) != density(b)


def test_log_density_of_any_pytree_with_data():
    def log_density(params, y, power=2):
        return -jnp.sum((params["a"] - y) ** power) - params["b"][1] ** 2

    init = {"a": np.ones(2), "b": (0.0, 3.0)}
    target = vi.from_log_density(log_density, init, jnp.array([1.0, 2.0]))
    assert [site.name for site in target.static.sites] == ["a", "b.0", "b.1"]
    np.testing.assert_allclose(target.log_density(target.init), -1.0 - 9.0)
    assert float(target.constrain(target.init)["b.1"]) == 3.0


def discrete():
    numpyro.sample("z", dist.Bernoulli(0.5))


def broken():
    numpyro.sample("x", dist.Normal(0.0, 1.0))
    raise RuntimeError("the model's own trouble")


def nothing():
    numpyro.sample("y", dist.Normal(0.0, 1.0), obs=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vi.from_numpyro(discrete), "what is discrete alone"),
        (lambda: vi.from_numpyro(broken), "RuntimeError: the model's own trouble"),
        (lambda: vi.from_numpyro(nothing), "no unknown continuous site"),
        (lambda: vi.from_numpyro(rich, X, Y[:4], 2), r"'y' have shape \(4,\)"),
        (lambda: vi.from_log_density(lambda p: p, 1), "init .* int(32|64)"),
        (lambda: vi.from_log_density(lambda p: p, {}), "holds no parameters"),
        (lambda: vi.from_log_density(lambda p: p, jnp.ones(2)), r"shape \(2,\)"),
        (lambda: vi.from_log_density(lambda p: p["b"], {"a": 1.0}), "KeyError"),
        (lambda: vi.from_numpyro(gamma, 1.0, 1.0).with_positive("log"), "positive"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
