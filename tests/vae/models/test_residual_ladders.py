"""A deep ladder: its ways down agree, and its bounds hold where log p(x) is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.vae.compression.test_file_format import bits_beside  # noqa: F401
from vijax import vae
from vijax.vae import anomaly, evaluation, models, training
from vijax.vae.compression import file_format
from vijax.vae.evaluation import Walk
from vijax.vae.models import bound_terms, likelihoods, losses

SMALL = {"channels": 6, "width": 4, "latents": (1, 2), "groups": (2, 1)}


def make(shape, **settings):
    """Return a ladder with parameters at random, none of them zero."""
    model = models.residual_ladder(shape, **(SMALL | settings))
    leaves, structure = jax.tree.flatten(models.init(model, jax.random.key(3)))
    rng = np.random.default_rng(5)
    moved = [np.float32(leaf + 0.3 * rng.normal(size=leaf.shape)) for leaf in leaves]
    return model, jax.tree.map(jnp.asarray, jax.tree.unflatten(structure, moved))


def images(shape, number=6):
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.integers(2, size=(number, *shape)), jnp.float32)


@pytest.fixture(scope="module")
def ladder():
    return make((6, 5))


@pytest.fixture(scope="module")
def two_latents():
    """An image of 2 × 2 has maps of one place: two groups of one latent in all."""
    model, params = make((2, 2), groups=(2,), latents=(1,))
    assert model.latent == 2
    return model, params, images((2, 2), 16)


@pytest.mark.thorough
def test_all_ways_down_agree(ladder, key):
    model, params = ladder
    x = images(model.shape)
    q = models.encode(model, params, x)
    noise = jax.random.normal(key, (3, len(x), model.latent))
    done = q.draw_and_decode(noise)
    z, log_q = q.transform_and_log_prob(noise)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(done.z, z, **close)
    np.testing.assert_allclose(done.log_q, log_q, **close)
    np.testing.assert_allclose(q.log_prob(z), log_q, **close)
    np.testing.assert_allclose(done.outputs, models.decode(model, params, z), **close)
    np.testing.assert_allclose(
        q.take(jnp.array([2])).transform(noise[:, 2:3]), z[:, 2:3], **close
    )


@pytest.mark.thorough
def test_step_by_step_is_all_at_once(ladder, key):
    model, params = ladder
    q = models.encode(model, params, images(model.shape))
    z = q.transform(jax.random.normal(key, q.loc.shape))
    expected, maps, stop = q.conditionals(z), q.first_maps(), 0
    for scale, number, part in q.groups():
        found = q.moments(scale, number, maps)
        np.testing.assert_allclose(found.loc, expected.loc[:, part], atol=1e-5)
        np.testing.assert_allclose(
            found.log_scale, expected.log_scale[:, part], atol=1e-5
        )
        maps = q.advanced(scale, number, maps, z[:, part])
        assert part.start == stop
        stop = part.stop
    assert stop == model.latent


@pytest.mark.thorough
def test_a_group_does_not_see_the_groups_below(ladder, key):
    model, params = ladder
    q = models.encode(model, params, images(model.shape))
    z = q.transform(jax.random.normal(key, q.loc.shape))
    part = q.groups()[1].part
    moved = q.conditionals(z.at[:, part.start :].add(1.0))
    np.testing.assert_array_equal(
        moved.loc[:, : part.stop], q.conditionals(z).loc[:, : part.stop]
    )
    assert np.all(
        np.any(
            moved.loc[:, part.stop :] != q.conditionals(z).loc[:, part.stop :], axis=1
        )
    )


@pytest.mark.thorough
def test_kl_of_groups_is_the_mean_of_log_q_over_p(ladder, key):
    model, params = ladder
    x = images(model.shape)
    q = models.encode(model, params, x)
    noise = bound_terms.noise_of(key, q, num_samples=4000)
    terms = bound_terms.draw_terms(model, params, x, q, noise)
    difference = np.asarray(terms.kl + terms.log_ratio)
    error = difference.std(axis=0) / np.sqrt(len(difference))
    assert np.all(np.abs(difference.mean(axis=0)) < 5 * error)
    assert np.all(np.var(terms.kl, axis=0) < np.var(terms.log_ratio, axis=0))


@pytest.mark.slow
def test_bounds_enclose_the_exact_evidence(two_latents, key):
    model, params, x = two_latents
    exact = np.asarray(evaluation.quadrature_log_evidence(model, params, x))
    found = evaluation.importance_log_evidence(
        model, params, key, x, num_samples=20_000, chunk_size=2000
    )
    gap = np.asarray(found.log_evidence) - exact
    assert np.all(np.abs(gap) < 5 * np.asarray(found.standard_error) + 1e-4)
    terms = evaluation.held_out_elbo(model, params, key, x, num_samples=2000)
    assert terms.elbo < exact.mean() - 0.01
    walk = Walk(num_steps=200, num_chains=20, num_leapfrog=5)
    below = evaluation.annealed_lower_bound(model, params, key, x, walk=walk)
    assert np.median(np.abs(np.asarray(below.log_evidence) - exact)) < 0.1


@pytest.mark.thorough
def test_scores_are_the_bounds(two_latents, key):
    model, params, x = two_latents
    exact = np.asarray(evaluation.quadrature_log_evidence(model, params, x))
    scores = anomaly.anomaly_scores(model, params, key, x, num_samples=4000)
    np.testing.assert_allclose(scores.negative_log_evidence, -exact, atol=0.05)
    assert np.all(scores.negative_elbo > -exact)


@pytest.mark.slow
def test_both_gradients_of_the_bound_have_one_mean(two_latents, key):
    """The decoder is a part of q as well: its gradient comes by both ways."""
    model, params, x = two_latents
    model = model._replace(likelihood=likelihoods.bernoulli(binary=True))
    batch, keys = losses.Batch(x, jnp.ones(())), jax.random.split(key, 4000)

    def slopes(gradient):
        """Return derivatives along the ones of each part of the parameters."""
        loss = losses.negative_iwae(model, num_samples=2, gradient=gradient)

        def moved(by, key):
            ways = zip(params, by, strict=True)
            own = [jax.tree.map(lambda p: p + step, part) for part, step in ways]  # noqa: B023
            return loss(models.ModelParams(*own), key, batch)[0]

        return np.asarray(
            jax.jit(jax.vmap(jax.grad(moved), (None, 0)))(jnp.zeros(4), keys)
        )

    total, dreg = map(slopes, ("total", "dreg"))
    for part in (0, 1, 3):  # encoder, decoder, posterior; the prior has none
        error = np.hypot(total[:, part].std(), dreg[:, part].std()) / np.sqrt(len(keys))
        assert abs(total[:, part].mean() - dreg[:, part].mean()) < 5 * error
        assert abs(dreg[:, part].mean()) > 5 * error


@pytest.mark.thorough
@pytest.mark.parametrize("num_samples", [1, 3])
def test_files_decode_exactly_and_are_as_long_as_the_bound(
    ladder,
    num_samples,
    tmp_path,
    bits_beside,  # noqa: F811
):
    model, params = ladder
    path = vae.save(tmp_path / "ladder.npz", model, params)
    model, params, _ = vae.load(path)
    x = np.asarray(images(model.shape, 120))
    encode = partial(
        file_format.encode_images,
        model,
        params,
        num_samples=num_samples,
        latent_step=2.0**-7,
    )
    first = 8 * len(encode(x[:20])) - bits_beside()
    data = encode(x)
    bits = 8 * len(data) - bits_beside() - first
    np.testing.assert_array_equal(file_format.decode_images(model, params, data), x)
    q = models.encode(model, params, x[20:])
    noise = bound_terms.noise_of(jax.random.key(1), q, num_samples=600)
    terms = bound_terms.draw_terms(model, params, jnp.asarray(x[20:]), q, noise)
    log_w = np.reshape(terms.log_likelihood + terms.log_ratio, (num_samples, -1, 100))
    bounds = logsumexp(log_w, axis=0) - np.log(num_samples)
    expected = -bounds.mean(axis=0).sum() / np.log(2)
    spread = np.sqrt(bounds.var(axis=0).sum()) / np.log(2)
    assert abs(bits - expected) < 3 * spread + 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "likelihood"),
    [
        ((7, 9), likelihoods.bernoulli()),
        ((8, 8, 3), likelihoods.bernoulli()),
        ((5, 4), likelihoods.discretised_logistic()),
    ],
)
def test_any_images_are_trained(shape, likelihood, key):
    model = models.residual_ladder(shape, likelihood=likelihood, **SMALL)
    x = np.asarray(images(shape, 64))
    trained = training.fit(model, key, x, epochs=8, batch_size=32, optimizer="muon")
    assert trained.loss[-1] < trained.loss[0]
    drawn = models.decoded_mean(model, trained.params, jnp.zeros((2, model.latent)))
    assert drawn.shape == (2, *shape)


def test_bad_input_is_named():
    for settings, message in (
        ({"shape": (8,)}, "shape"),
        ({"groups": (2,)}, "latents = .* give 1 numbers"),
        ({"groups": (2, 0)}, "groups"),
        ({"channels": 0}, "channels"),
        ({"width": 0}, "width"),
        ({"activation": "sine"}, "activation"),
        ({"dtype": "float7"}, "dtype"),
    ):
        with pytest.raises(ValueError, match=message):
            models.residual_ladder(**({"shape": (8, 8)} | SMALL | settings))
