"""Conditional models: one that is solved on paper, and digits of a class on demand."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tests.vae import kinds
from vijax import vae
from vijax.vae import anomaly, compression, evaluation, generation, models, training
from vijax.vae.evaluation import Walk
from vijax.vae.models import bound_terms, covariates, likelihoods, losses, priors
from vijax.vae.models.losses import Batch

FEATURES, COVARIATES = 4, 3


class Solved(NamedTuple):
    model: models.VAE
    params: models.ModelParams
    rows: jax.Array  # (20, 7)
    log_evidence: np.ndarray
    mean: np.ndarray  # E[x | c]
    covariance: np.ndarray  # of x given c


@pytest.fixture(scope="module")
def solved():
    """z | c = A c + a + s ε and x = W z + V c + b + noise: x | c is normal."""
    rng = np.random.default_rng(3)
    model = models.conditional_vae(
        (FEATURES,),
        num_covariates=COVARIATES,
        hidden=(),
        likelihood=likelihoods.gaussian(0.5),
        prior=covariates.conditional_normal(COVARIATES, hidden=()),
    )
    a, w = rng.normal(size=(COVARIATES, 2)), rng.normal(size=(2, FEATURES))
    v, bias = rng.normal(size=(COVARIATES, FEATURES)), rng.normal(size=FEATURES)
    own = {
        "kernel": np.concatenate([a, np.zeros_like(a)], axis=1),
        "bias": np.array([0.3, -0.2, np.log(0.7), np.log(1.2)]),
    }
    c = rng.normal(size=(20, COVARIATES))
    loc, s = c @ a + [0.3, -0.2], np.array([0.7, 1.2])
    mean = loc @ w + c @ v + bias
    covariance = w.T @ np.diag(s**2) @ w + 0.25 * np.eye(FEATURES)
    x = mean + rng.multivariate_normal(np.zeros(FEATURES), covariance, size=20)
    # The exact posterior's mean; its scales, of a diagonal, are too small or too large.
    precision = w @ w.T / 0.25 + np.diag(1 / s**2)
    gain = np.linalg.solve(precision, w / 0.25)  # (2, FEATURES)
    shift = np.linalg.solve(precision, np.diag(1 / s**2))
    to_loc = np.concatenate([gain.T, (a @ shift.T) - v @ gain.T])
    scales = -0.5 * np.log(np.diag(precision))
    encoder = {
        "kernel": np.concatenate([to_loc, np.zeros_like(to_loc)], axis=1),
        "bias": np.concatenate([shift @ [0.3, -0.2] - gain @ bias, scales]),
    }
    decoder = {"kernel": np.concatenate([w, v]), "bias": bias}
    params = models.ModelParams(
        {"output": encoder}, {"output": decoder}, {"output": own}
    )
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    rows = models.with_covariates(x.astype(np.float32), c.astype(np.float32))
    exact = multivariate_normal(np.zeros(FEATURES), covariance).logpdf(x - mean)
    return Solved(model, params, rows, exact, mean, covariance)


def test_evidence_given_covariates_is_exact(solved, key):
    model, params, rows = solved[:3]
    found = evaluation.importance_log_evidence(
        model, params, key, rows, num_samples=4000, chunk_size=2000
    )
    gap = np.asarray(found.log_evidence) - solved.log_evidence
    assert np.all(np.abs(gap) < 5 * np.asarray(found.standard_error) + 1e-3)
    walk = Walk(num_steps=100, num_chains=20, num_leapfrog=5)
    below = evaluation.annealed_lower_bound(model, params, key, rows, walk=walk)
    gap = np.asarray(below.log_evidence) - solved.log_evidence
    assert np.all(np.abs(gap) < 5 * np.asarray(below.standard_error) + 0.05)
    scores = anomaly.anomaly_scores(model, params, key, rows, num_samples=2000)
    gap = np.asarray(scores.negative_log_evidence) + solved.log_evidence
    assert np.abs(gap).max() < 0.2


@pytest.mark.thorough
def test_elbo_and_its_gradient_are_exact(solved, key):
    """KL has a closed form; so has E_q[log p(x | z, c)] of a linear decoder."""
    model, params, rows = solved[:3]
    batch = Batch(rows, jnp.ones(()))

    def exact_loss(params):
        q = models.encode(model, params, rows)
        p = models.prior_of(model, params, rows)
        w = params.decoder["output"]["kernel"][:2]
        trace = jnp.sum(jnp.exp(2 * q.log_scale) * jnp.sum(w**2, axis=1), axis=1)
        at_loc = bound_terms.log_likelihood(model, params, rows, q.loc)
        kl = bound_terms.closed_kl(q, p)
        return -jnp.mean(at_loc - trace / (2 * 0.25) - kl)

    loss_fn = losses.negative_elbo(model)
    exact = jax.tree.leaves(jax.jit(jax.value_and_grad(exact_loss))(params))
    draws = jax.jit(
        jax.vmap(jax.value_and_grad(lambda p, k: loss_fn(p, k, batch)[0]), (None, 0))
    )(params, jax.random.split(key, 2000))
    for mean, values in zip(exact, jax.tree.leaves(draws), strict=True):
        error = np.std(values, axis=0) / np.sqrt(2000)
        assert np.all(np.abs(np.mean(values, axis=0) - mean) < 5 * error + 2e-4)
    looseness = -exact[0] - np.mean(solved.log_evidence)
    assert -1.0 < looseness < 0


@pytest.mark.thorough
def test_draws_on_demand_have_the_moments(solved, key):
    model, params = solved[:2]
    c = solved.rows[4, FEATURES:]
    drawn = generation.draw_from_prior(
        key, model, params, num_samples=4000, given=c, batch_size=4000
    )
    error = np.sqrt(np.diag(solved.covariance) / 4000)
    assert np.all(np.abs(drawn.x.mean(axis=0) - solved.mean[4]) < 5 * error)
    found = np.cov(drawn.x, rowvar=False)
    np.testing.assert_allclose(found, solved.covariance, rtol=0.15, atol=0.1)
    rows = generation.draw_from_prior(
        key, model, params, num_samples=20, given=solved.rows[:, FEATURES:]
    )
    assert rows.x.shape == (20, FEATURES)


@pytest.mark.slow
def test_a_trained_model_draws_the_class_it_is_told(key, tmp_path):
    """Class 0 has dark pixels, class 1 bright ones; Bernoulli, saved and loaded."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=600)
    images = (rng.uniform(size=(600, 2, 2)) < 0.1 + 0.8 * labels[:, None, None]) * 1.0
    model = models.conditional_vae((2, 2), num_covariates=2, latent=1, hidden=(8,))
    rows = models.with_covariates(images, jax.nn.one_hot(labels, 2))
    trained = training.fit(
        model,
        key,
        rows,
        epochs=30,
        batch_size=50,
        optimizer=training.Adam(learning_rate=0.02),
    )
    path = vae.save(tmp_path / "model.npz", model, trained.params)
    stored = vae.load(path)
    assert stored.model == model
    for label in (0, 1):
        drawn = generation.draw_from_prior(
            key, *stored[:2], num_samples=500, given=np.eye(2)[label]
        )
        assert abs(drawn.x.mean() - (0.1 + 0.8 * label)) < 0.08
    blank = models.reconstruct(model, trained.params, rows)
    assert blank.shape == (600, 4)
    share = anomaly.unexplained_share(model, trained.params, rows[labels == 1][:5])
    assert np.all((share > 0) & (share < 1))


@pytest.mark.parametrize("given", [None, np.zeros(2), np.full(3, np.nan)])
def test_covariates_are_asked_for(solved, key, given):
    with pytest.raises(ValueError, match="given"):
        generation.draw_from_prior(key, *solved[:2], num_samples=2, given=given)


def test_images_without_their_covariates_are_refused(key):
    model = models.conditional_vae((2, 2), num_covariates=3, latent=1, hidden=())
    with pytest.raises(ValueError, match=r"give \(n, 7\), .*models.with_covariates"):
        training.fit(model, key, np.zeros((4, 2, 2)), epochs=1)


@pytest.mark.thorough
def test_what_a_conditional_model_has_not_is_named(solved, key):
    model, params, rows = solved[:3]
    with pytest.raises(ValueError, match="share no grid"):
        evaluation.quadrature_log_evidence(model, params, rows)
    with pytest.raises(ValueError, match="the prior depends on covariates: give x"):
        models.prior_of(model, params)
    with pytest.raises(ValueError, match="the prior depends on covariates, so the"):
        evaluation.aggregate_posterior(model, params, key, rows)
    with pytest.raises(ValueError, match="prior depends on covariates, and the codes'"):
        generation.fit_prior(key, model, params, rows, prior=model.prior)
    scale = vae.event_tables.fit_scale(np.asarray(rows))
    with pytest.raises(ValueError, match="a conditional model codes no rows"):
        compression.encode_table(model, params, np.asarray(rows), scale, 0.1)
    with pytest.raises(ValueError, match="a VampPrior is no prior of x given c"):
        models.conditional_vae((2,), num_covariates=1, prior=priors.vamp(2))
    of_two = covariates.conditional_normal(2)
    other = models.conditional_vae((2,), num_covariates=1, prior=of_two)
    with pytest.raises(ValueError, match="num_covariates = 2 is not valid"):
        models.init(other, key)
    with pytest.raises(ValueError, match="covariates have shape"):
        models.with_covariates(np.zeros((2, 3)), np.zeros(2))
    plain, own = kinds.make("flow")
    with pytest.raises(ValueError, match="the model takes no covariates"):
        generation.draw_from_prior(key, plain, own, num_samples=2, given=np.zeros(1))
