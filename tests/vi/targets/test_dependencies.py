"""Which unknowns are found to be local: against models whose answer is known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.targets.structure.dependencies import find_structure

RNG = np.random.default_rng(0)
GROUP = np.repeat(np.arange(30), 4)
X, Y = RNG.normal(size=120), RNG.integers(0, 2, 120)


def scales():
    return numpyro.sample("s", dist.HalfNormal(1.0).expand([2]).to_event(1))


def one_site(x, y):
    s = scales()
    with numpyro.plate("groups", 30):
        b = numpyro.sample("b", dist.Normal(0.0, s).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=b[GROUP, 0] + b[GROUP, 1] * x), obs=y)


def two_sites(x, y):
    s = scales()
    with numpyro.plate("groups", 30):
        a = numpyro.sample("a", dist.Normal(0.0, s[0]))
        b = numpyro.sample("b", dist.Normal(0.0, s[1]))
    numpyro.sample("y", dist.Bernoulli(logits=a[GROUP] + b[GROUP] * x), obs=y)


def apart(x, y):
    s = scales()
    with numpyro.plate("groups", 30):
        a = numpyro.sample("a", dist.Normal(0.0, s[0]))
        b = numpyro.sample("b", dist.Normal(0.0, s[1]))
    numpyro.sample("y", dist.Bernoulli(logits=a[GROUP]), obs=y)
    numpyro.sample("w", dist.Normal(b[GROUP], 1.0), obs=x)


def crossed(x, y):
    s = scales()
    with numpyro.plate("groups", 30):
        a = numpyro.sample("a", dist.Normal(0.0, s[0]))
    with numpyro.plate("items", 12):
        b = numpyro.sample("b", dist.Normal(0.0, s[1]))
    item = np.arange(120) % 12
    numpyro.sample("y", dist.Bernoulli(logits=a[GROUP] + b[item] * 1.0), obs=y)


def walk(x, y):
    s = scales()
    h = numpyro.sample("h", dist.GaussianRandomWalk(s[0], 120))
    numpyro.sample("x", dist.Normal(0.0, jnp.exp(h)), obs=x)


def second_order(x, y):
    s = scales()
    flat = dist.Normal(0.0, 1.0).expand([120]).to_event(1).mask(False)
    h = numpyro.sample("h", flat)
    numpyro.factor("p", dist.Normal(0.0, s[0]).log_prob(jnp.diff(h, n=2)).sum())
    numpyro.sample("x", dist.Normal(h, 1.0), obs=x)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "text"),
    [
        (one_site, "2 globals, 30 × 2 locals"),
        (two_sites, "2 globals, 30 × 2 locals"),
        (apart, "2 globals, 30 × 1 locals, 30 × 1 locals"),
        (crossed, "14 globals, 30 × 1 locals"),
        (walk, "2 globals, 1 × 120 locals chains of bandwidth 1"),
        (second_order, "2 globals, 1 × 120 locals chains of bandwidth 2"),
    ],
)
def test_structure_is_that_of_the_model(model, text):
    assert str(find_structure(vi.from_numpyro(model, X, Y))) == text


@pytest.mark.parametrize(
    ("model", "is_copied"), [(one_site, True), (two_sites, False), (apart, True)]
)
def test_parts_join_to_the_vector(model, is_copied):
    """Few ranges are copied; in two sites of one block neighbours change with each."""
    structure = find_structure(vi.from_numpyro(model, X, Y))
    position = jnp.arange(62.0) ** 2
    globals_, parts = structure.split(position)
    np.testing.assert_array_equal(globals_, position[structure.globals])
    for group, part in zip(structure.groups, parts, strict=True):
        np.testing.assert_array_equal(part, position[group.index])
    np.testing.assert_array_equal(structure.join(globals_, parts), position)
    assert bool(structure.joined) == bool(structure.parted) == is_copied
    plain = replace(structure, joined=(), parted=())
    np.testing.assert_array_equal(plain.join(*plain.split(position)), position)


@pytest.mark.thorough
def test_dense_dependence_of_many_is_refused():
    def increments(p):  # a walk by its increments: every state sees all before it
        return -0.5 * jnp.sum(p**2) - jnp.sum(jnp.exp(jnp.cumsum(0.1 * p)))

    target = vi.from_log_density(increments, jnp.zeros(300))
    with pytest.raises(ValueError, match="depend on each other in no way it knows"):
        find_structure(target)


def test_inside_a_trace_it_is_refused():
    def inside(y):
        find_structure(vi.from_numpyro(two_sites, y, Y))
        return y

    with pytest.raises(ValueError, match="outside of them"):
        jax.jit(inside)(jnp.asarray(X))
