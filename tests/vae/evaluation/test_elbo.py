import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.evaluation import elbo
from vijax.vae.models import autoencoders


@pytest.mark.thorough
def test_elbo_is_the_log_evidence_at_the_exact_posterior(linear_vae, key):
    vae = linear_vae
    estimate = elbo.held_out_elbo(vae.model, vae.params, key, vae.x, num_samples=500)
    deviation = estimate.elbo - vae.log_evidence.mean()
    assert estimate.draw_standard_error < 0.02
    assert abs(deviation) < 4 * estimate.draw_standard_error
    np.testing.assert_allclose(
        estimate.elbo, estimate.log_likelihood - estimate.kl, rtol=1e-5
    )


def test_standard_errors_are_the_spread_of_repeated_estimates(linear_vae):
    vae = linear_vae
    estimates = [
        elbo.held_out_elbo(
            vae.model, vae.params, jax.random.key(i), vae.x, num_samples=5
        )
        for i in range(40)
    ]
    spread = np.std([estimate.elbo for estimate in estimates], ddof=1)
    claimed = np.mean([estimate.draw_standard_error for estimate in estimates])
    # The spread of 40 estimates is known to 1/sqrt(80) = 11 %.
    np.testing.assert_allclose(claimed, spread, rtol=4 * 0.11)


def test_standard_error_over_examples(linear_vae, key):
    vae = linear_vae
    estimate = elbo.held_out_elbo(vae.model, vae.params, key, vae.x, num_samples=500)
    expected = np.std(vae.log_evidence, ddof=1) / np.sqrt(50)
    np.testing.assert_allclose(estimate.elbo_standard_error, expected, rtol=0.02)


@pytest.mark.thorough
@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
def test_batches_change_nothing(linear_vae, key, batch_size):
    vae = linear_vae
    terms = elbo.elbo_per_example(
        vae.model, vae.params, key, vae.x, batch_size=batch_size
    )
    whole = elbo.elbo_per_example(vae.model, vae.params, key, vae.x, batch_size=25)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), terms, whole)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (jnp.zeros((5, 3)), r"x has shape \(5, 3\): give \(n, 8, 8\)"),
        (jnp.zeros((1, 8, 8)), r"give \(n, 8, 8\), n >= 2"),
        (jnp.full((5, 8, 8), 0.5), r"x = 0.5 .*bernoulli data are 0 or 1"),
    ],
)
def test_bad_data(x, message, key):
    model = autoencoders.vae((8, 8), hidden=())
    with pytest.raises(ValueError, match=message):
        elbo.held_out_elbo(model, autoencoders.init(model, key), key, x)


def test_one_draw_has_no_error(linear_vae, key):
    vae = linear_vae
    with pytest.raises(ValueError, match=r"num_samples = 1 .*give 2 draws or more"):
        elbo.held_out_elbo(vae.model, vae.params, key, vae.x, num_samples=1)
