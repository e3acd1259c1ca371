"""Losses against the exactly solvable VAE, where log p(x) is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from vijax.vae.models import autoencoders, bound_terms, losses
from vijax.vae.models.losses import Batch
from vijax.vae.models.posteriors import Posterior

elbo_terms = jax.jit(
    bound_terms.elbo_terms, static_argnums=0, static_argnames="num_samples"
)


def shift(params: autoencoders.ModelParams, by: float) -> autoencoders.ModelParams:
    """Move q(z | x) away from the posterior: loc by `by`, log_scale by 0.3 `by`."""
    move = by * jnp.array([1.0, -1.0, 0.3, -0.3])
    output = params.encoder["output"]
    return params._replace(encoder={"output": output | {"bias": output["bias"] + move}})


def exact_kl(vae, by: float) -> np.ndarray:
    """KL[q ‖ posterior] of the shifted q, equal for all x."""
    posterior = autoencoders.encode(vae.model, vae.params, vae.x)
    move, log_ratio = np.array([by, -by]), np.array([0.3 * by, -0.3 * by])
    scale = np.exp(posterior.log_scale[0])
    return 0.5 * np.sum((move / scale) ** 2 + np.exp(2 * log_ratio) - 1 - 2 * log_ratio)


def test_elbo_is_log_evidence_at_the_exact_posterior(linear_vae, key):
    vae = linear_vae
    terms = elbo_terms(vae.model, vae.params, key, vae.x, num_samples=4000)
    # One draw's sd is about sqrt(latent dimensions); all 50 examples are averaged.
    difference = np.asarray(terms.elbo) - vae.log_evidence
    error = np.std(difference) / np.sqrt(50)
    assert error < 0.01
    assert abs(np.mean(difference)) < 4 * error


def test_elbo_falls_short_by_the_kl_to_the_posterior(linear_vae, key):
    vae, moved = linear_vae, shift(linear_vae.params, 0.4)
    terms = elbo_terms(vae.model, moved, key, vae.x, num_samples=4000)
    difference = np.asarray(terms.elbo) - (vae.log_evidence - exact_kl(vae, 0.4))
    error = np.std(difference) / np.sqrt(50)
    assert exact_kl(vae, 0.4) > 10 * error
    assert abs(np.mean(difference)) < 4 * error


@pytest.mark.thorough
def test_gradient_of_the_loss_is_the_exact_one(linear_vae, key):
    vae, moved = linear_vae, shift(linear_vae.params, 0.4)
    batch = Batch(vae.x, jnp.ones(()))
    loss_fn = losses.negative_elbo(vae.model, num_samples=20)

    def bias_gradient(key):
        gradient = jax.grad(lambda p: loss_fn(p, key, batch)[0])(moved)
        return gradient.encoder["output"]["bias"]

    draws = jax.jit(jax.vmap(bias_gradient))(jax.random.split(key, 200))
    error = np.std(draws, axis=0) / np.sqrt(200)
    posterior = autoencoders.encode(vae.model, vae.params, vae.x)
    precision = np.exp(-2 * np.asarray(posterior.log_scale[0]))
    # ∂KL/∂loc = move / scale², ∂KL/∂log_scale = exp(2 log_ratio) - 1
    expected = np.concatenate(
        [
            np.array([0.4, -0.4]) * precision,
            np.expm1(2 * np.array([0.12, -0.12])),
        ]
    )
    assert np.all(error < 0.05 * np.abs(expected))
    assert np.all(np.abs(draws.mean(axis=0) - expected) < 4 * error)


@pytest.mark.thorough
def test_beta_and_warm_up_weigh_the_kl(linear_vae, key):
    vae = linear_vae
    plain = jax.jit(losses.negative_elbo(vae.model))
    terms = plain(vae.params, key, Batch(vae.x, jnp.ones(())))[1]
    for beta, weight in ((4.0, 1.0), (4.0, 0.25), (0.0, 1.0)):
        batch = Batch(vae.x, jnp.asarray(weight))
        weighted = jax.jit(losses.negative_elbo(vae.model, beta=beta))
        loss, same = weighted(vae.params, key, batch)
        expected = beta * weight * terms.kl - terms.log_likelihood
        np.testing.assert_allclose(loss, expected, rtol=1e-6)
        np.testing.assert_allclose(same.elbo, terms.elbo, rtol=1e-6)


@pytest.mark.thorough
def test_every_importance_weight_is_the_evidence_at_the_exact_posterior(
    linear_vae, key
):
    vae = linear_vae
    q = autoencoders.encode(vae.model, vae.params, vae.x)
    z = bound_terms.draw(key, q, num_samples=3)
    terms = bound_terms.log_weights(vae.model, vae.params, vae.x, q, z)
    np.testing.assert_allclose(
        terms.log_likelihood + terms.log_ratio,
        np.tile(vae.log_evidence, (3, 1)),
        rtol=1e-4,
        atol=1e-4,
    )


def exact_bound_of_two(vae, params) -> jax.Array:
    """Return E[log (w₁ + w₂) / 2] of the first example by quadrature over both z."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    noise = np.stack([g.ravel() for g in np.meshgrid(*[nodes] * 4)]).reshape(2, 2, -1)
    product = np.prod(np.stack(np.meshgrid(*[weights / weights.sum()] * 4)), axis=0)
    q = autoencoders.encode(vae.model, params, vae.x[:1])
    z = q.loc + jnp.exp(q.log_scale) * jnp.moveaxis(jnp.asarray(noise), 1, 2)
    terms = bound_terms.log_weights(vae.model, params, vae.x[:1], q, z)
    bound = jax.nn.logsumexp(terms.log_likelihood + terms.log_ratio, 0) - jnp.log(2.0)
    return bound @ jnp.asarray(product.ravel(), jnp.float32)


@pytest.mark.thorough
@pytest.mark.parametrize("gradient", slow_except({"dreg"}, ["total", "dreg"]))
def test_iwae_and_its_gradients_equal_quadrature(linear_vae, key, gradient):
    vae, moved = linear_vae, shift(linear_vae.params, 0.15)
    loss_fn = losses.negative_iwae(vae.model, num_samples=2, gradient=gradient)
    batch = Batch(vae.x[:1], jnp.ones(()))

    def value_and_biases(loss_fn):
        (loss, _), slope = jax.value_and_grad(loss_fn, has_aux=True)(moved)
        biases = [part["output"]["bias"] for part in (slope.encoder, slope.decoder)]
        return jnp.concatenate([loss[None], *biases])

    def exact_values():
        return value_and_biases(lambda p: (-exact_bound_of_two(vae, p), None))

    draw = jax.jit(
        jax.vmap(lambda key: value_and_biases(lambda p: loss_fn(p, key, batch)))
    )
    draws = np.asarray(draw(jax.random.split(key, 20_000)))
    exact = np.asarray(jax.jit(exact_values)())
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - exact) < 4 * error)
    # It is the bound of two draws: above the ELBO, below the evidence.
    elbo = vae.log_evidence[0] - exact_kl(vae, 0.15)
    assert elbo + 20 * error[0] < -exact[0] < vae.log_evidence[0] - 20 * error[0]


@pytest.mark.slow
def test_dreg_has_less_noise_near_the_posterior(linear_vae, key):
    # At the exact posterior every weight is equal and its gradient vanishes; the
    # total derivative keeps the noise of the score.
    vae = linear_vae
    batch = Batch(vae.x, jnp.ones(()))
    spread = {}
    for gradient in ("total", "dreg"):
        loss_fn = losses.negative_iwae(vae.model, num_samples=5, gradient=gradient)
        slope = jax.grad(lambda p, loss_fn=loss_fn: loss_fn(p, key, batch)[0])
        spread[gradient] = np.abs(slope(vae.params).encoder["output"]["bias"]).max()
    assert spread["dreg"] < 1e-4
    assert spread["total"] > 1e-2


@pytest.mark.thorough
def test_one_sample_iwae_is_the_elbo_estimate_without_closed_form(linear_vae, key):
    vae = linear_vae
    loss, terms = losses.negative_iwae(vae.model, num_samples=1)(
        vae.params, key, Batch(vae.x, jnp.ones(()))
    )
    np.testing.assert_allclose(-loss, vae.log_evidence.mean(), rtol=1e-4)
    assert terms.bound == -loss


@pytest.mark.thorough
def test_warm_up_weighs_the_prior_of_the_importance_weights(linear_vae, key):
    # Of one draw the bound is log p(x | z) + w (log p(z) - log q(z | x)).
    vae = linear_vae
    loss_fn = losses.negative_iwae(vae.model, num_samples=1)
    none, half, full = (
        float(loss_fn(vae.params, key, Batch(vae.x, jnp.array(weight)))[0])
        for weight in (0.0, 0.5, 1.0)
    )
    np.testing.assert_allclose(full, -vae.log_evidence.mean(), rtol=1e-4)
    np.testing.assert_allclose(half, (none + full) / 2, rtol=1e-5)
    assert none < full - 1


@pytest.mark.thorough
def test_free_bits_put_a_floor_under_every_latent(linear_vae, key):
    vae = linear_vae
    batch = Batch(vae.x, jnp.ones(()))
    q = autoencoders.encode(vae.model, vae.params, vae.x)
    each = np.asarray(bound_terms.kl_per_latent(q)).mean(axis=0)
    floor = float(each.mean())  # between the two latents
    plain, _ = losses.negative_elbo(vae.model)(vae.params, key, batch)
    freed, same = losses.negative_elbo(vae.model, free_bits=floor)(
        vae.params, key, batch
    )
    np.testing.assert_allclose(freed - plain, floor - each.min(), rtol=1e-4)
    np.testing.assert_allclose(same.kl, each.sum(), rtol=1e-5)
    np.testing.assert_allclose(bound_terms.kl_to_prior(q).mean(), each.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: losses.negative_elbo(m, num_samples=0), "num_samples = 0"),
        (lambda m: losses.negative_elbo(m, beta=-1.0), "beta = -1.0"),
        (lambda m: losses.negative_elbo(m, free_bits=-1.0), "free_bits = -1.0"),
        (lambda m: losses.negative_iwae(m, num_samples=0), "num_samples = 0"),
        (
            lambda m: losses.negative_iwae(m, num_samples=2, gradient="stl"),
            "gradient = 'stl' is not known: total or dreg",
        ),
    ],
)
def test_bad_settings(linear_vae, make, message):
    with pytest.raises(ValueError, match=message):
        make(linear_vae.model)


def test_kl_to_prior_keeps_the_batch(key):
    q = Posterior(jnp.array([[[1.0, 2.0]], [[0.0, 0.0]]]), jnp.zeros((2, 1, 2)))
    np.testing.assert_allclose(bound_terms.kl_to_prior(q), [[2.5], [0.0]])


def test_draws_have_the_moments_of_q(key):
    q = Posterior(jnp.array([[1.0, -2.0]]), jnp.log(jnp.array([[0.5, 3.0]])))
    z = np.asarray(bound_terms.draw(key, q, num_samples=40_000))[:, 0]
    np.testing.assert_allclose(z.mean(axis=0), [1, -2], atol=4 * 3 / np.sqrt(40_000))
    np.testing.assert_allclose(z.std(axis=0), [0.5, 3], rtol=4 / np.sqrt(2 * 40_000))


@pytest.mark.thorough
def test_grey_images_are_binarised_anew_by_every_key():
    model = autoencoders.vae((4, 4), hidden=(8,))
    params = autoencoders.init(model, jax.random.key(0))
    batch = Batch(jnp.full((10, 4, 4), 0.5), jnp.ones(()))
    loss_fn = jax.jit(losses.negative_elbo(model))
    # The KL depends on x alone, not on the draws of z.
    kl = [float(loss_fn(params, jax.random.key(i), batch)[1].kl) for i in (0, 1, 2, 0)]
    assert len(set(kl[:3])) == 3
    assert kl[0] == kl[3]


@pytest.mark.thorough
def test_mean_squared_error_is_the_mean_over_pixels_and_batch(key):
    model = autoencoders.autoencoder((2, 3), hidden=(), output="identity")
    params = autoencoders.init(model, key)
    x = jax.random.normal(key, (5, 2, 3))
    z = autoencoders.latent_mean(model, params, x)
    rebuilt = autoencoders.decoded_mean(model, params, z)
    loss, terms = losses.mean_squared_error(model)(params, key, Batch(x, jnp.ones(())))
    np.testing.assert_allclose(loss, np.mean((rebuilt - x) ** 2), rtol=1e-6)
    assert terms["mse"] == loss
