"""Learned priors and other posteriors, each against what can be known of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from tests.vae import kinds
from vijax.fingerprint import fingerprint
from vijax.vae import models
from vijax.vae.models import (
    autoencoders,
    autoregressive,
    bound_terms,
    likelihoods,
    losses,
    priors,
)
from vijax.vae.models.losses import Batch
from vijax.vae.models.posteriors import Posterior


def grid(num_nodes: int = 481, width: float = 16.0) -> tuple[jax.Array, float]:
    at = jnp.linspace(-width, width, num_nodes)
    z = jnp.stack(jnp.meshgrid(at, at), axis=-1).reshape(-1, 2)
    return z, float((at[1] - at[0]) ** 2)


@pytest.mark.thorough
@kinds.pairs_are_slow
def test_densities_are_those_of_the_draws(kind, key):
    """q(z | x) and p(z) integrate to 1, and their draws have their moments."""
    model, params = kinds.make(kind)
    z, area = grid()

    @jax.jit
    def found(params, key):
        keys = jax.random.split(key)
        q, p = (
            models.encode(model, params, kinds.data(1)),
            models.prior_of(model, params),
        )
        draws = bound_terms.draw_with_density(keys[0], q, num_samples=4000)
        q_table, p_table = jnp.exp(q.log_prob(z[:, None])[:, 0]), jnp.exp(p.log_prob(z))
        tables = jnp.stack([q_table, p_table]) * area
        again = q.log_prob(draws.z)
        return tables, draws, again, p.sample(keys[1], 4000)

    tables, draws, again, from_prior = found(params, key)
    np.testing.assert_allclose(tables.sum(axis=1), 1, rtol=2e-3)
    np.testing.assert_allclose(draws.log_q, again, rtol=1e-3, atol=2e-3)
    for table, sample in zip(tables, (draws.z[:, 0], from_prior), strict=True):
        mean = table @ z
        covariance = (z - mean).T @ (table[:, None] * (z - mean))
        error = np.sqrt(np.diag(covariance) / 4000)
        assert np.all(abs(sample.mean(axis=0) - mean) < 5 * error)
        products = np.asarray((sample - mean)[:, :, None] * (sample - mean)[:, None])
        error = products.std(axis=0) / np.sqrt(4000)
        assert np.all(abs(products.mean(axis=0) - covariance) < 5 * error)


def nodes(number: int) -> tuple[jax.Array, jax.Array]:
    """Return Gauss–Hermite nodes and weights of a noise in two dimensions."""
    at, weight = np.polynomial.hermite_e.hermegauss(number)
    weight /= weight.sum()
    points = np.stack([g.ravel() for g in np.meshgrid(at, at)], axis=-1)
    weights = np.outer(weight, weight).ravel()
    return jnp.asarray(points, jnp.float32), jnp.asarray(weights, jnp.float32)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", slow_except({"mixture"}, kinds.KINDS))
def test_bounds_and_their_gradients_equal_quadrature(kind, key):
    """The ELBO and the bound of two draws, in all parameters, by three estimators."""
    model, params = kinds.make(kind)
    x = kinds.data(1)
    batch = Batch(x, jnp.ones(()))
    noise, weights = nodes(44)

    def log_w(params):  # at every node
        q, p = models.encode(model, params, x), models.prior_of(model, params)
        z = q.transform(noise[:, None])
        values = bound_terms.log_likelihood(model, params, x, z)
        return (values + p.log_prob(z) - q.log_prob(z))[:, 0]

    def elbo(params):
        return log_w(params) @ weights

    def iwae(params):
        values = log_w(params)
        pairs = jnp.logaddexp(values[:, None], values) - jnp.log(2.0)
        return weights @ pairs @ weights

    estimators = {
        "elbo": losses.negative_elbo(model),
        "total": losses.negative_iwae(model, num_samples=2),
        "dreg": losses.negative_iwae(model, num_samples=2, gradient="dreg"),
    }

    def flat(function, params):
        value, slope = jax.value_and_grad(function)(params)
        return jnp.concatenate([value[None], *map(jnp.ravel, jax.tree.leaves(slope))])

    @jax.jit
    def estimated(params, keys):
        def draw(key):
            return {
                name: flat(lambda p, f=f: -f(p, key, batch)[0], params)
                for name, f in estimators.items()
            }

        return jax.vmap(draw)(keys)

    @jax.jit
    def exactly(params):
        return flat(elbo, params), flat(iwae, params)

    exact_elbo, exact_iwae = exactly(params)
    found = estimated(params, jax.random.split(key, 6000))
    for name, draws in found.items():
        exact = np.asarray(exact_elbo if name == "elbo" else exact_iwae)
        error = np.std(draws, axis=0) / np.sqrt(len(draws))
        slack = 1e-4 * (1 + np.abs(exact).max())  # of rounding
        gap = np.abs(draws.mean(axis=0) - exact)
        assert np.all(gap < 4.5 * error + slack), name
        assert np.linalg.norm(error[1:]) < 0.3 * np.linalg.norm(exact[1:])


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["mixture", "vamp"])
def test_elbo_of_a_solved_model_falls_short_by_the_kl(kind, key):
    """ELBO = log p(x) - KL[q ‖ p(z | x)], the KL by quadrature of Bayes' theorem."""
    solved = kinds.mixture_of_two(kind)
    z, area = grid(241, 10.0)

    @jax.jit
    def found(params, key):
        terms = bound_terms.elbo_terms(
            solved.model, params, key, solved.x, num_samples=4000
        )
        q = models.encode(solved.model, params, solved.x)
        table = q.log_prob(z[:, None])
        joint = bound_terms.log_likelihood(solved.model, params, solved.x, z[:, None])
        joint += models.prior_of(solved.model, params).log_prob(z)[:, None]
        return terms.elbo, jnp.exp(table), table, joint

    elbo, q, log_q, joint = map(np.asarray, found(solved.params, key))
    gap = np.sum(q * (log_q - joint + solved.log_evidence), axis=0) * area
    difference = elbo - (solved.log_evidence - gap)
    error = np.std(difference) / np.sqrt(len(difference))
    assert gap.mean() > 20 * error
    assert abs(difference.mean()) < 4 * error


@pytest.mark.thorough
def test_many_narrow_normals_keep_their_digits():
    """Products alone would lose z - loc where normals are narrow."""
    rng = np.random.default_rng(0)
    loc, z = 5 + rng.normal(size=(7, 3)), 5 + rng.normal(size=(4, 3))
    z[0] = loc[0] + 1e-3
    normals = Posterior(*(jnp.asarray(a, jnp.float32) for a in (loc, 0 * loc - 7)))
    z = jnp.asarray(z, jnp.float32)
    loc, at = np.asarray(normals.loc, float), np.asarray(z, float)
    square = np.sum(((at[:, None] - loc) * np.exp(7)) ** 2, axis=-1)
    exact = -0.5 * square - 1.5 * np.log(2 * np.pi) + 21
    np.testing.assert_allclose(priors.log_prob_table(normals, z), exact, rtol=2e-5)
    slope = jax.jit(jax.grad(lambda z: priors.log_prob_table(normals, z)[0, 0]))(z)
    expected = -(at[0] - loc[0]) * np.exp(14)
    np.testing.assert_allclose(slope[0], expected, rtol=2e-2)


@pytest.mark.thorough
def test_pseudo_inputs_begin_at_images_and_are_pixels(key):
    model = models.vae((2, 2), latent=1, hidden=(), prior=priors.vamp(2))
    params = models.init(model, key)
    images = np.array([[[0.0, 1.0], [0.2, 0.5]], [[1.0, 1.0], [0.0, 0.0]]])
    moved = priors.with_pseudo_inputs(model, params, images)
    np.testing.assert_allclose(
        priors.pseudo_inputs(model, moved), 0.05 + 0.9 * images, rtol=1e-5
    )
    assert np.all(np.abs(priors.pseudo_inputs(model, params) - 0.5) < 0.5)
    table, own = kinds.make("vamp")  # real numbers are as they are
    np.testing.assert_array_equal(priors.pseudo_inputs(table, own), own.prior["inputs"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: priors.mixture(0), "num_components = 0 is not valid"),
        (lambda: priors.vamp(0), "num_components = 0 is not valid"),
        (lambda: priors.flow(hidden=0), "hidden = 0 is not valid"),
        (
            lambda: autoregressive.inverse_autoregressive(context=0),
            "context = 0 is not valid",
        ),
        (
            lambda: autoencoders.parts_of.__wrapped__(None, "vamp", None),
            "prior = 'vamp' is none: give",
        ),
        (
            lambda: losses.negative_elbo(kinds.make("vamp")[0], free_bits=0.1),
            "free_bits = 0.1 is not valid",
        ),
        (
            lambda: priors.with_pseudo_inputs(*kinds.make("flow"), np.zeros((3, 3))),
            "the model has no VampPrior",
        ),
        (
            lambda: priors.with_pseudo_inputs(*kinds.make("vamp"), np.zeros((2, 3))),
            "images' shape = ",
        ),
        (
            lambda: models.layered_vae((2,), latents=(3,), hidden=((2,),)),
            "give 2 layers or more",
        ),
        (
            lambda: models.layered_vae((2,), latents=(3, 2), hidden=((2,),)),
            "give 2 tuples of widths",
        ),
        (
            lambda: models.layered_vae((2,), top=priors.vamp(2)),
            "which only a ladder has: give ladder=True",
        ),
        (
            lambda: models.layers.with_top_inputs(*kinds.make("ladder"), np.ones(3)),
            "the model's top is not learned",
        ),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        call()


@pytest.mark.thorough
def test_a_ladder_starts_from_the_prior(key):
    """Where the encoder says nothing, q of the lower layers is the prior."""
    model, params = kinds.make("ladder")
    q = models.encode(model, params, kinds.data(2))
    vague = q._replace(encoded=q.encoded._replace(log_scale=0 * q.encoded.loc + 20))
    noise = jax.random.normal(key, (5, 2, 2))
    p = models.prior_of(model, params)
    top = q.top.transform(noise[..., 1:])
    by_prior = p.transform(jnp.concatenate([noise[..., :1], top], axis=-1))
    np.testing.assert_allclose(vague.transform(noise), by_prior, rtol=1e-5, atol=1e-6)
    sharp = q._replace(encoded=q.encoded._replace(log_scale=0 * q.encoded.loc - 20))
    z = sharp.transform(noise)[..., 0]
    np.testing.assert_allclose(z, 0 * z + q.encoded.loc[..., 0], rtol=1e-5)


@pytest.mark.thorough
def test_the_top_of_a_ladder_is_the_mean_posterior_of_its_pseudo_inputs(key):
    """With data as pseudo-inputs, p(z_top) is the mean of q(z_top | x) over them."""
    model, params = kinds.make("ladder, vamp")
    x = kinds.data(3)
    params = models.layers.with_top_inputs(model, params, x)
    q, p = models.encode(model, params, x), models.prior_of(model, params)
    z = jax.random.normal(key, (7, 1))
    mean = jax.nn.logsumexp(q.top.log_prob(z[:, None]), axis=1) - jnp.log(3.0)
    np.testing.assert_allclose(p.top.log_prob(z), mean, rtol=1e-5)
    assert not hasattr(p, "inverse")  # a mixture is no map of N(0, I)


@pytest.mark.thorough
def test_a_learned_top_leaves_the_layers_below_as_they_are(key):
    """p(z) under a mixture of one standard normal is that under N(0, I)."""
    sizes = {"latents": (2, 1), "hidden": ((), (3,))}
    plain = models.layered_vae((3,), **sizes)
    model = models.layered_vae((3,), top=priors.mixture(1), **sizes)
    params = models.init(plain, key)
    top = {"logits": jnp.zeros(1), "loc": jnp.zeros((1, 1))}
    top |= {"log_scale": jnp.zeros((1, 1))}
    z = jax.random.normal(key, (5, 3))
    found = models.prior_of(model, params._replace(prior=(*params.prior, top)))
    below = models.prior_of(plain, params)
    expected = below.log_prob(z)
    np.testing.assert_allclose(found.log_prob(z), expected, rtol=1e-5)
    # A program takes either as an argument, as the aggregate posterior's does.
    log_prob = jax.jit(lambda p, z: p.log_prob(z))
    for p in (found, below):
        np.testing.assert_allclose(log_prob(p, z), expected, rtol=1e-5)


@pytest.mark.thorough
def test_runs_of_all_kinds_can_be_told_apart():
    """A checkpoint asks for the loss's fingerprint: of Bernoulli pixels, too."""
    losses_of = [
        losses.negative_elbo(kinds.make(kind, likelihoods.bernoulli())[0])
        for kind in ("mixture", "vamp", "full")
    ]
    losses_of.append(losses.negative_elbo(models.vae((kinds.FEATURES,), hidden=())))
    assert len(set(map(fingerprint, losses_of))) == len(losses_of)


def test_default_model_has_no_more_parameters_than_its_networks(key):
    model = models.vae((3,), latent=1, hidden=())
    params = models.init(model, key)
    assert params[2:] == ((), ())
    assert autoencoders.is_plain(model)
