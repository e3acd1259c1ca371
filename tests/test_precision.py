"""Every product that a number is made of says that it wants all digits."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vae import anomaly, evaluation, models


def products(program):
    """Return the precision of each product in a program, inner ones too."""
    found = []
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            found.append(str(equation.params["precision"]))
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found += products(inner)
    return found


def all_in_full(function, *arguments):
    found = products(jax.make_jaxpr(function)(*arguments).jaxpr)
    assert found
    return all("HIGHEST" in precision for precision in found)


def regression(x, y):
    slope = numpyro.sample("slope", dist.Normal(0, 1).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(x @ slope, 1), obs=y)


def test_a_target_s_density_and_its_gradient():
    target = vi.from_numpyro(regression, jnp.ones((3, 2)), jnp.ones(3))
    assert all_in_full(jax.grad(target.log_density), jnp.zeros(2))
    assert not all_in_full(lambda x: x @ x, jnp.ones((2, 2)))


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["full_rank", "low_rank", "flow"])
def test_a_family_s_draws(family):
    target = vi.from_numpyro(regression, jnp.ones((3, 2)), jnp.ones(3))
    q = vi.fit(target, jax.random.key(0), family=family).q
    assert all_in_full(jax.grad(lambda eps: q.transform(eps).sum()), jnp.ones((4, 2)))


def test_bounds_and_scores(key):
    model = models.vae((3,), latent=2, hidden=(4,))
    params, x = models.init(model, key), jnp.ones((5, 3))
    for measure in (
        lambda x: evaluation.held_out_elbo(model, params, key, x),
        lambda x: evaluation.importance_log_evidence(
            model, params, key, x, num_samples=100
        ),
        lambda x: evaluation.quadrature_log_evidence(model, params, x, num_nodes=9),
        lambda x: anomaly.anomaly_scores(model, params, key, x),
    ):
        assert all_in_full(measure, x)
