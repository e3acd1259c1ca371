"""Float32 and float64 data, both where JAX computes in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae import evaluation
from vijax.vae.evaluation import annealed_sampling, log_evidence
from vijax.vae.models import losses
from vijax.vae.models.losses import Batch


@pytest.fixture(params=["float32", "float64"])
def data_of_a_type(request, linear_vae, x64):
    """Return the solvable model, its parameters, five examples and their log p(x)."""
    vae, dtype = linear_vae, request.param
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), vae.params)
    return vae.model, params, vae.x[:5].astype(dtype), vae.log_evidence[:5]


def test_quadrature_is_exact(data_of_a_type):
    model, params, x, exact = data_of_a_type
    found = log_evidence.quadrature_log_evidence(model, params, x, num_nodes=100)
    assert found.dtype == x.dtype
    # Float64 misses it by the rounding of the parameters, which were float32 once.
    np.testing.assert_allclose(found, exact, atol=2e-4)


@pytest.mark.thorough
def test_walks_find_the_evidence(data_of_a_type, key):
    model, params, x, exact = data_of_a_type
    walk = evaluation.Walk(num_steps=40, num_chains=10, num_leapfrog=3)
    z = jnp.zeros((len(x), 2), "float32")
    below = annealed_sampling.annealed_lower_bound(model, params, key, x, walk=walk)
    above = annealed_sampling.annealed_upper_bound(model, params, key, x, z, walk=walk)
    assert below.log_evidence.dtype == above.log_evidence.dtype == x.dtype
    error = np.hypot(below.standard_error, 0.1)
    assert np.all(np.abs(below.log_evidence - exact) < 5 * error)


@pytest.mark.thorough
def test_doubly_reparametrised_bound_is_the_bound(data_of_a_type, key):
    model, params, x, _ = data_of_a_type
    batch = Batch(x, jnp.ones(()))  # a weight in float64

    bound = losses.negative_iwae(model, num_samples=3)
    same = losses.negative_iwae(model, num_samples=3, gradient="dreg")
    total, _ = jax.jit(bound)(params, key, batch)
    slope_of = jax.jit(jax.value_and_grad(same, has_aux=True))
    (dreg, _), slope = slope_of(params, key, batch)
    assert dreg.dtype == slope.encoder["output"]["bias"].dtype == x.dtype
    np.testing.assert_allclose(dreg, total, rtol=1e-6)
    # The posterior is exact: no weight differs, and the encoder's gradient vanishes.
    np.testing.assert_allclose(slope.encoder["output"]["bias"], 0, atol=1e-4)
