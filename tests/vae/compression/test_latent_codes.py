"""Bits-back coding under learned priors and other posteriors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from tests.vae import kinds
from tests.vae.compression.test_file_format import bits_beside  # noqa: F401
from vijax.vae import evaluation, event_tables
from vijax.vae.compression import file_format
from vijax.vae.compression.latent_codes import Latents
from vijax.vae.models import autoencoders, bound_terms, likelihoods, posteriors
from vijax.vae.models.posteriors import Posterior, normal_log_prob
from vijax.vae.models.priors import MixturePrior

BINARY = likelihoods.bernoulli()
X = np.random.default_rng(0).integers(2, size=(150, kinds.FEATURES)).astype(np.float32)


def bits_of_draws(model, params, number=200):
    """Return the bits of each draw of the code's own q, of all images."""
    step = 2.0**-6
    loc, scale = (
        jnp.reshape(part * step, (len(X), 2)).astype(jnp.float32)
        for part in Latents(model, params, len(X), step).posterior(X)
    )
    q, p = Posterior(loc, jnp.log(scale)), autoencoders.prior_of(model, params)
    u, log_q = bound_terms.draw_with_density(jax.random.key(1), q, num_samples=number)
    if isinstance(p, MixturePrior):
        z, log_p = u, p.log_prob(u)
    else:
        z, log_p = p.transform(u), normal_log_prob(u)
    values = bound_terms.log_likelihood(model, params, jnp.asarray(X), z)
    return -np.asarray(values + log_p - log_q) / np.log(2)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", slow_except({"mixture", "full"}, kinds.KINDS))
def test_files_decode_exactly_and_are_about_as_long_as_the_bound(kind, bits_beside):  # noqa: F811
    model, params = kinds.make(kind, BINARY)
    if kind == "flow":  # within the grid's eight standard deviations
        params = params._replace(prior=jax.tree.map(lambda a: 0.3 * a, params.prior))
    if kind in ("vamp, autoregressive", *kinds.TOPS):
        with pytest.raises(ValueError, match=r"the model's prior, .* has no code"):
            file_format.encode_images(model, params, X)
        return
    data = file_format.encode_images(model, params, X)
    decoded = file_format.decode_images(model, params, data)
    np.testing.assert_array_equal(decoded, X)
    bits = bits_of_draws(model, params)
    spread = np.sqrt(bits.var(axis=0).sum())  # of one draw for each image
    length = 8 * len(data) - bits_beside()
    # The first image adds some 30 bits.
    assert abs(length - 30 - bits.mean(axis=0).sum()) < 3 * spread + 40
    evidence = evaluation.quadrature_log_evidence(model, params, X, width=20.0)
    assert bits.mean(axis=0).sum() > -np.sum(evidence) / np.log(2)


@pytest.mark.thorough
def test_the_code_of_a_full_q_is_its_closest_diagonal_normal():
    """The cost of a full covariance is the KL from the diagonal normal, no more."""
    tril = jnp.array([[0.5, 0.0], [0.6, 0.3]])
    family = posteriors.full_covariance()
    model = autoencoders.vae((2,), latent=2, hidden=(), posterior=family)
    params = autoencoders.init(model, jax.random.key(0))
    lower = tril / jnp.diag(tril)[:, None]
    code = jnp.stack(
        [jnp.array([0.4, -0.2]), jnp.log(jnp.diag(tril)), lower[0], lower[1]]
    )
    output = {"kernel": jnp.zeros((2, 8)), "bias": code.ravel()}
    params = params._replace(encoder={"output": output})
    latents = Latents(model, params, 4, 2.0**-6)
    loc, scale = latents.posterior(np.zeros((1, 2), np.float32))
    precision = np.linalg.inv(np.asarray(tril @ tril.T))
    np.testing.assert_allclose(loc * 2.0**-6, [0.4, -0.2], atol=1e-5)
    np.testing.assert_allclose(
        scale * 2.0**-6, 1 / np.sqrt(np.diag(precision)), rtol=1e-5
    )


@pytest.mark.thorough
def test_one_row_and_a_wide_mixture():
    """Components beyond eight are on the grid; one image finds an empty stack."""
    model, params = kinds.make("mixture", BINARY)
    wide = params._replace(prior=params.prior | {"loc": 20 * params.prior["loc"]})
    for rows in (X[:1], X):
        data = file_format.encode_images(model, wide, rows)
        np.testing.assert_array_equal(
            file_format.decode_images(model, wide, data), rows
        )


@pytest.mark.thorough
def test_tables_come_back_within_their_bound():
    model, params = kinds.make("flow", likelihoods.gaussian(None))
    table = np.random.default_rng(1).normal(size=(60, kinds.FEATURES))
    scale = event_tables.fit_scale(table)
    data = file_format.encode_table(model, params, table, scale, 0.05)
    back = file_format.decode_table(model, params, data)
    assert np.abs(back - table).max() <= 0.05 + 1e-9
