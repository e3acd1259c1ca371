"""Every evaluation of VAEs with learned priors, where log p(x) is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from tests.vae import kinds
from vijax.vae import anomaly, evaluation, generation
from vijax.vae.evaluation import Walk
from vijax.vae.models import autoencoders, priors

SOLVED = {
    "mixture": lambda: kinds.mixture_of_two("mixture"),
    "vamp": lambda: kinds.mixture_of_two("vamp"),
    "layered": kinds.two_linear_layers,
}


@pytest.fixture(params=slow_except({"mixture"}, SOLVED), scope="module")
def solved(request):
    return SOLVED[request.param]()


@pytest.mark.thorough
def test_importance_sampling_finds_the_exact_evidence(solved, key):
    found = evaluation.importance_log_evidence(
        solved.model, solved.params, key, solved.x, num_samples=20_000, chunk_size=2000
    )
    gap = np.asarray(found.log_evidence) - solved.log_evidence
    error = np.asarray(found.standard_error)
    good = np.asarray(found.effective_sample_size) > 50
    assert good.sum() >= 10
    assert np.all(np.abs(gap)[good] < 5 * error[good])
    assert abs(np.mean(gap[good] / error[good])) < 4 / np.sqrt(good.sum())


@pytest.mark.thorough
def test_quadrature_is_the_exact_evidence(solved):
    found = evaluation.quadrature_log_evidence(
        solved.model, solved.params, solved.x, num_nodes=400, width=12.0
    )
    np.testing.assert_allclose(found, solved.log_evidence, rtol=1e-4, atol=1e-4)


@pytest.mark.thorough
def test_annealing_encloses_the_exact_evidence(solved, key):
    """Below from data; above from z that is drawn with x."""
    walk = Walk(num_steps=200, num_chains=20, num_leapfrog=5)
    model, params = solved.model, solved.params
    below = evaluation.annealed_lower_bound(model, params, key, solved.x, walk=walk)
    gap = np.asarray(below.log_evidence) - solved.log_evidence
    error = np.asarray(below.standard_error)
    assert np.median(error) < 0.3
    assert np.all(gap < 4 * error + 1e-3)
    assert np.median(np.abs(gap)) < 0.3
    drawn = generation.draw_from_prior(key, model, params, num_samples=10)
    exact = evaluation.quadrature_log_evidence(
        model, params, drawn.x, num_nodes=400, width=12.0
    )
    above = evaluation.annealed_upper_bound(
        model, params, key, drawn.x, drawn.z, walk=walk
    )
    gap = np.asarray(above.log_evidence - exact)
    assert np.all(gap > -4 * np.asarray(above.standard_error) - 1e-3)
    assert np.median(np.abs(gap)) < 0.3


@pytest.mark.thorough
def test_draws_have_the_moments_of_the_model(solved, key):
    """E[log p(x)] over draws is minus the entropy: a test of all of p(x)."""
    model, params = solved.model, solved.params
    drawn = generation.draw_from_prior(key, model, params, num_samples=2000)
    z = autoencoders.prior_of(model, params).sample(key, 2000)
    for sample in (drawn.z, z):
        mean, error = np.mean(sample, axis=0), np.std(sample, axis=0) / np.sqrt(2000)
        other = np.mean(z, axis=0)
        assert np.all(np.abs(mean - other) < 6 * error)
    x = np.asarray(drawn.x)
    of_z = np.asarray(drawn.mean)
    np.testing.assert_allclose(np.std(x - of_z, axis=0), kinds.SCALE, rtol=0.08)


def test_a_grid_that_misses_the_prior_is_refused():
    solved = kinds.mixture_of_two("mixture")
    far = solved.params._replace(
        prior=solved.params.prior | {"loc": jnp.full((3, 2), 30.0)}
    )
    with pytest.raises(ValueError, match="the prior's mass on the grid is not 1"):
        evaluation.quadrature_log_evidence(solved.model, far, solved.x)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", slow_except({"vamp"}, kinds.KINDS))
def test_all_estimates_agree(kind, key):
    """The ELBO, its error, anomaly scores and usage, against log w of own draws."""
    model, params = kinds.make(kind)
    x = kinds.data(3)
    elbo = evaluation.elbo_per_example(model, params, key, x, num_samples=2000)
    scores = anomaly.anomaly_scores(model, params, key, x, num_samples=4000)
    importance = evaluation.importance_log_evidence(
        model, params, key, x, num_samples=4000, chunk_size=2000
    )
    values = np.asarray(elbo.log_likelihood - elbo.kl)
    error = np.sqrt(np.asarray(elbo.draw_variance)) + 1e-4
    assert np.all(np.abs(values + scores.negative_elbo) < 5 * error)
    assert np.all(-np.asarray(scores.negative_log_evidence) > values - 5 * error)
    near = 5 * np.asarray(importance.standard_error) + 0.02
    gap = np.abs(scores.negative_log_evidence + importance.log_evidence)
    assert np.all(gap < 2 * near)
    usage = evaluation.active_units(model, params, x)
    assert usage.kl is None  # no sum over latents
    assert str(usage).endswith("of 2 latents active")
    together = evaluation.aggregate_posterior(model, params, key, x, batch_size=2)
    assert together.mutual_information < np.log(3) + 1e-4
    assert together.mean.shape == (2,)


@pytest.mark.thorough
def test_aggregate_posterior_of_a_vamp_prior_at_the_data_is_the_prior(key):
    """With the data themselves as pseudo-inputs, p(z) is q(z): no marginal KL."""
    model, params = kinds.make("vamp")
    x = kinds.data(3)
    params = priors.with_pseudo_inputs(model, params, x)
    found = evaluation.aggregate_posterior(model, params, key, x)
    np.testing.assert_allclose(found.marginal_kl, 0, atol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind", slow_except({"vamp"}, ["vamp", "layered", "autoregressive"])
)
def test_the_same_key_gives_the_same_numbers_in_every_transformation(kind, key):
    model, params = kinds.make(kind)
    x, keys = kinds.data(2), jax.random.split(key, 2)

    def estimate(key):
        found = evaluation.elbo_per_example(model, params, key, x, num_samples=2)
        drawn = generation.draw_from_prior(key, model, params, num_samples=2)
        return found.log_likelihood, found.kl, drawn.z, drawn.x

    eager = [estimate(key) for key in keys]
    mapped = jax.vmap(estimate)(keys)
    for row, one in enumerate(eager):
        for a, b, c in zip(one, jax.jit(estimate)(keys[row]), mapped, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
            np.testing.assert_allclose(a, c[row], rtol=2e-5, atol=2e-5)
