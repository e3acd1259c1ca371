"""What a density of the unknowns cannot be made of is refused, with the remedy."""

import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from flax import nnx
from numpyro import handlers
from numpyro.contrib.control_flow import cond, scan
from numpyro.contrib.module import (
    flax_module,
    nnx_module,
    random_flax_module,
    random_nnx_module,
)
from numpyro.infer.util import potential_energy

from tests.cases import slow_except
from vijax import vi

Y = np.array([0.3, -0.5, 0.4, 1.0, 1.9])
NORMAL = dist.Normal(0.0, 1.0)


def learned(y):
    mu = numpyro.param("mu", 0.0)
    numpyro.sample("y", dist.Normal(mu, numpyro.sample("s", NORMAL)), obs=y)


def learned_in_scan(y):
    def step(x, y_t):
        rate = numpyro.param("rate", 0.5, constraint=dist.constraints.positive)
        x = numpyro.sample("x", dist.Normal(rate * x, 1.0))
        return x, numpyro.sample("y", NORMAL, obs=y_t)

    scan(step, 0.0, y)


def learned_callable(y):
    mu = numpyro.param("mu", lambda key: jax.random.normal(key, (2,)))
    numpyro.sample("y", dist.Normal(mu[0] + numpyro.sample("x", NORMAL), 1), obs=y)


def network(y):
    net = flax_module("net", nn.Dense(1), input_shape=(1,))
    s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(net(y[:, None])[:, 0], s), obs=y)


def nnx_network(y):
    net = nnx_module("net", nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
    s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(net(y[:, None])[:, 0], s), obs=y)


def half_random(y):
    prior = {"bias": NORMAL}
    net = random_flax_module("net", nn.Dense(1), prior, input_shape=(1,))
    numpyro.sample("y", dist.Normal(net(y[:, None])[:, 0], 1.0), obs=y)


def noisy(y):
    x = numpyro.sample("x", NORMAL)
    noise = jax.random.normal(numpyro.prng_key(), y.shape)
    numpyro.sample("y", dist.Normal(x + noise, 1.0), obs=y)


def sometimes(y):
    x = numpyro.sample("x", NORMAL)
    extra = cond(x > 0, lambda _: numpyro.sample("z", NORMAL), lambda _: 0.0, None)
    numpyro.sample("y", dist.Normal(x + extra, 1.0), obs=y)


def sometimes_in_python(y):
    x = numpyro.sample("x", NORMAL)
    if x > 0:
        x += numpyro.sample("z", NORMAL)
    numpyro.sample("y", dist.Normal(x, 1.0), obs=y)


def plain_scan(y):
    def step(x, y_t):
        x = numpyro.sample("x", dist.Normal(x, 1.0))
        return x, (x - y_t) ** 2

    _, squares = jax.lax.scan(step, 0.0, y)
    numpyro.factor("fit", -squares.sum())


def plain_scan_of_a_constant(y):
    """NumPyro would see one unknown where the loop draws five."""
    _, x = jax.lax.scan(lambda _, y_t: (0.0, numpyro.sample("x", NORMAL)), 0.0, y)
    del x


def scan_in_scan(y):
    def inner(x, _):
        return numpyro.sample("x", dist.Normal(x, 1.0)), None

    def step(x, y_t):
        x, _ = scan(inner, x, None, length=2)
        return x, numpyro.sample("y", dist.Normal(x, 1.0), obs=y_t)

    scan(step, 0.0, y)


def subsample_in_scan(y):
    def step(x, y_t):
        with numpyro.plate("n", 4, subsample_size=2):
            numpyro.sample("y", dist.Normal(x, 1.0), obs=y_t)
        return numpyro.sample("x", dist.Normal(x, 1.0)), None

    scan(step, 0.0, y)


def point(y):
    x = numpyro.sample("x", dist.Delta(1.0))
    numpyro.sample("y", dist.Normal(x, numpyro.sample("s", NORMAL)), obs=y)


def sphere(y):
    n = numpyro.sample("n", dist.ProjectedNormal(jnp.ones(3)))
    numpyro.sample("y", dist.Normal(n[0], 1.0), obs=y)


def column(y):
    numpyro.sample("y", dist.Normal(numpyro.sample("m", NORMAL) * y, 1), obs=y[:, None])


def latent(distribution):
    """Return a model with this discrete site."""

    def model(y):
        x = numpyro.sample("x", NORMAL)
        k = numpyro.sample("k", distribution)
        numpyro.sample("y", dist.Normal(x + jnp.sum(k), 1.0), obs=y[0])

    return model


def discrete_backwards(y):
    s = numpyro.sample("s", dist.HalfNormal(1.0))

    def step(z, y_t):
        z = numpyro.sample("z", dist.Bernoulli(0.2 + 0.6 * z))
        return z, numpyro.sample("y", dist.Normal(z, s), obs=y_t)

    scan(step, 0, y, reverse=True)


def discrete_beside_a_subsample(y):
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    x = numpyro.sample("x", NORMAL)
    with numpyro.plate("n", len(y), subsample_size=2) as rows:
        numpyro.sample("y", dist.Normal(x + k, 1.0), obs=y[rows])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (learned, "'mu' is a numpyro.param.*numpyro.sample.*handlers.substitute"),
        (learned_in_scan, "'rate' is a numpyro.param"),
        (learned_callable, "'mu' is a numpyro.param"),
        (network, r"'net\$params' is a numpyro.param.*random_flax_module"),
        (nnx_network, r"'net\$params' is a numpyro.param"),
        (half_random, r"'net\$params' is a numpyro.param"),
        (noisy, "depends on a random key .* switch the noise off"),
        (sometimes, "model cannot be traced"),
        (sometimes_in_python, "model cannot be traced: TracerBoolConversionError"),
        (plain_scan, "use numpyro.contrib.control_flow.scan"),
        (plain_scan_of_a_constant, "use numpyro.contrib.control_flow.scan"),
        (scan_in_scan, "'x' is inside a scan or cond that is itself inside one"),
        (subsample_in_scan, "plate 'n' inside a scan or cond takes a subsample"),
        (point, "'x' is a dist.Delta.*numpyro.deterministic"),
        (sphere, "'n' has support .*ProjectedNormalReparam"),
        (column, r"'y' have shape \(5, 1\) and its distribution \(5,\)"),
        (latent(dist.Poisson(3.0)), "'k' is discrete .Poisson. and has no finite list"),
        (latent(dist.Bernoulli(jnp.ones(2) / 2).to_event(1)), "'k' .* and a vector"),
        (latent(dist.DiscreteUniform(0, 20_000)), "has 20001 values; at most 10000"),
        (latent(dist.DiscreteUniform(3, 5)), "values from 3.*add the offset"),
        (
            latent(dist.Bernoulli(jnp.ones(2) / 2)),
            r"'k' has .* in a numpyro\.plate(\n|$)",
        ),
        (discrete_backwards, "in a reverse scan.*turn xs around"),
        (discrete_beside_a_subsample, "beside a subsampled plate.*take all rows"),
    ],
)
def test_what_cannot_be_right_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        vi.from_numpyro(model, Y)


def random_network(y):
    prior = {"bias": dist.Cauchy(), "kernel": NORMAL}
    net = random_flax_module("net", nn.Dense(2), prior, input_shape=(1,))
    numpyro.sample("y", dist.Normal(net(y[:, None]).sum(-1), 1.0), obs=y)


def random_nnx(y):
    linear = nnx.Linear(1, 2, rngs=nnx.Rngs(0))
    net = random_nnx_module("net", linear, NORMAL)
    numpyro.sample("y", dist.Normal(net(y[:, None]).sum(-1), 1.0), obs=y)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "model", slow_except({random_nnx}, [random_network, random_nnx])
)
def test_networks_with_priors_are_models_like_others(x64, model):
    target = vi.from_numpyro(model, Y)
    assert target.dim == 4
    position = jax.random.normal(jax.random.key(1), (4,))
    energy = potential_energy(
        handlers.seed(model, 0), (jnp.asarray(Y),), {}, target.unravel(position)
    )
    np.testing.assert_allclose(target.log_density(position), -energy, rtol=1e-12)
    values = target.constrain(position)
    np.testing.assert_allclose(target.unconstrain(values), position)


def test_arrays_whose_values_are_needed_are_fixed_and_the_rest_is_not():
    def model(group, y):
        with numpyro.plate("groups", len(np.unique(group))):
            mu = numpyro.sample("mu", NORMAL)
        numpyro.sample("y", dist.Normal(mu[group], 1.0), obs=y)

    group = np.array([0, 2, 1, 1, 0])
    density = jax.jit(lambda target: target.log_density(target.init))
    first = vi.from_numpyro(model, group, Y)
    other = vi.from_numpyro(model, group.copy(), Y + 1)
    assert first.static == other.static
    assert first.data_size == 5
    assert density(first) != density(other)
    assert density._cache_size() == 1
    regrouped = vi.from_numpyro(model, np.array([0, 0, 1, 1, 0]), Y)
    assert (first.dim, regrouped.dim) == (3, 2)


@pytest.mark.thorough
def test_funsor_is_not_imported_without_a_discrete_site():
    code = (
        "import sys, jax.numpy as jnp, numpyro, numpyro.distributions as dist\n"
        "from vijax import vi\n"
        "def model(y):\n"
        "    numpyro.sample('y', dist.Normal(numpyro.sample('x', dist.Normal()), 1),"
        " obs=y)\n"
        "vi.from_numpyro(model, jnp.ones(2)).log_density(jnp.zeros(1))\n"
        "assert 'funsor' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_funsor_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "funsor", None)
    with pytest.raises(ImportError, match=r"\('k'\) needs funsor: .*'\.\[enum\]'"):
        vi.from_numpyro(latent(dist.Bernoulli(0.5)), Y)
