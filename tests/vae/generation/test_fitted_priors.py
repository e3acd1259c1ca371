"""Priors fitted after the training, against the codes that they should follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from vijax.vae import evaluation, generation
from vijax.vae.models import autoencoders, priors
from vijax.vae.models.autoencoders import ModelParams


@pytest.fixture(scope="module")
def two_clusters():
    """A VAE of one latent whose data are two clusters: q(z) is a mixture."""
    model = autoencoders.vae((8,), latent=1, hidden=())
    x = jnp.concatenate([jnp.zeros((300, 8)), jnp.ones((100, 8))])
    # q = N(-2, ½²) of the blank rows, N(3, ½²) of the full ones.
    encoder = {"kernel": jnp.zeros((8, 2)), "bias": jnp.array([-2.0, np.log(0.5)])}
    encoder["kernel"] = encoder["kernel"].at[:, 0].set(5 / 8)
    decoder = {"kernel": jnp.full((1, 8), 1.0), "bias": jnp.full(8, -0.5)}
    return model, ModelParams({"output": encoder}, {"output": decoder}), x


@pytest.mark.thorough
@pytest.mark.parametrize(
    "prior",
    [
        priors.mixture(2),
        pytest.param(priors.flow(num_couplings=1), marks=pytest.mark.slow),
    ],
)
def test_the_prior_is_that_of_the_codes(two_clusters, prior, key):
    model, params, x = two_clusters
    fitted = generation.fit_prior(key, model, params, x, prior=prior)
    assert fitted.params.encoder is params.encoder
    before = evaluation.aggregate_posterior(model, params, key, x)
    after = evaluation.aggregate_posterior(*fitted, key, x)
    assert before.marginal_kl > 2
    at = np.linspace(-7, 7, 141)[:, None]
    found = autoencoders.prior_of(*fitted).log_prob(jnp.asarray(at, jnp.float32))
    exact = 0.75 * norm.pdf(at, -2, 0.5) + 0.25 * norm.pdf(at, 3, 0.5)
    gap = np.sum(np.abs(np.exp(found) - exact[:, 0])) * 0.1  # total variation, twice
    assert gap < (0.1 if prior.name == "mixture" else 0.8)
    assert after.marginal_kl < (0.02 if prior.name == "mixture" else 1.0)


@pytest.mark.thorough
@pytest.mark.parametrize("prior", [priors.mixture(2), priors.flow(num_couplings=1)])
def test_a_second_fit_compiles_nothing(two_clusters, prior, key, compiled):
    model, params, x = two_clusters
    generation.fit_prior(key, model, params, x, prior=prior, num_steps=3)
    assert compiled
    compiled.clear()
    generation.fit_prior(key, model, params, x, prior=prior, num_steps=3)
    assert not compiled


@pytest.mark.thorough
def test_the_bound_rises_by_what_the_prior_gains(two_clusters, key):
    model, params, x = two_clusters
    fitted = generation.fit_prior(key, model, params, x, prior=priors.mixture(2))
    bounds = [
        evaluation.held_out_elbo(m, p, key, x, num_samples=50)
        for m, p in ((model, params), fitted)
    ]
    gained = bounds[1].elbo - bounds[0].elbo
    kl = [
        evaluation.aggregate_posterior(m, p, key, x).marginal_kl
        for m, p in ((model, params), fitted)
    ]
    np.testing.assert_allclose(gained, kl[0] - kl[1], atol=0.1)
    drawn = generation.draw_from_prior(key, *fitted, num_samples=1000)
    assert abs(np.mean(drawn.z > 0.5) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1000)


@pytest.mark.slow
def test_a_step_of_the_mixture_is_textbook(x64):
    """One component: mean and sd. Two: the fixed point of the algorithm."""
    z = np.random.default_rng(0).normal(size=(500, 2)) * [1.0, 30.0] + [5.0, -100.0]
    one = generation.fit_mixture(jax.random.key(0), z, num_components=1)
    np.testing.assert_allclose(one.components.loc[0], z.mean(axis=0), rtol=1e-9)
    scale = np.exp(one.components.log_scale[0])
    np.testing.assert_allclose(scale, z.std(axis=0), rtol=1e-9)
    z[:200] += [4.0, 150.0]
    two = generation.fit_mixture(jax.random.key(0), z, num_components=2, num_steps=2000)
    share = np.asarray(jax.nn.softmax(two.log_joint(jnp.asarray(z)), axis=-1))
    weight = share.sum(axis=0)
    np.testing.assert_allclose(np.exp(two.logits), weight / 500, rtol=1e-6)
    loc = share.T @ z / weight[:, None]
    np.testing.assert_allclose(two.components.loc, loc, rtol=1e-6)


@pytest.mark.thorough
def test_the_same_key_gives_the_same_mixture_in_every_transformation():
    z = jnp.asarray(np.random.default_rng(1).normal(size=(40, 2)), jnp.float32)

    def fit(key):
        return generation.fit_mixture(key, z, num_components=3, num_steps=5)

    keys = jax.random.split(jax.random.key(0), 2)
    eager, mapped = fit(keys[1]), jax.vmap(fit)(keys)
    for a, b, c in zip(
        *map(jax.tree.leaves, (eager, jax.jit(fit)(keys[1]), mapped)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a, c[1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_codes_that_are_all_the_same_are_no_trouble():
    found = generation.fit_mixture(jax.random.key(0), np.ones((5, 2)), num_components=2)
    assert np.all(np.isfinite(found.log_prob(jnp.ones((1, 2)))))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_components": 6}, "num_components = 6 is not valid"),
        ({"num_steps": 0}, "num_steps = 0 is not valid"),
    ],
)
def test_bad_input_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        generation.fit_mixture(
            jax.random.key(0), np.ones((5, 2)), **({"num_components": 2} | settings)
        )
    with pytest.raises(ValueError, match="z has shape"):
        generation.fit_mixture(jax.random.key(0), np.ones((1, 2)))
