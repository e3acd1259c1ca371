"""What a training says of itself: in failures that were seen, and on curves by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from vijax.vae import models, training
from vijax.vae.models import likelihoods, losses
from vijax.vae.training import Adam, baseline
from vijax.vae.training.verdict import Curve, judge, judge_all

MODEL = models.vae(
    (6,), latent=2, hidden=(16,), likelihood=likelihoods.gaussian(None, min_scale=0.1)
)


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    z = random.normal(size=(512, 2))
    x = z @ random.normal(size=(2, 6)) + 0.3 * random.normal(size=(512, 6))
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)


def fit(x, rate, epochs=20, **settings):
    return training.fit(
        MODEL, jax.random.key(0), x, epochs=epochs, optimizer=Adam(rate), **settings
    )


def test_a_training_that_works_has_converged(table):
    trained = fit(table, 1e-2, epochs=150)
    assert trained.verdict.word == "converged"
    assert "converged: the loss has stopped falling" in str(trained).splitlines()[-1]
    assert trained.loss[-1] < baseline.loss_without_latents(
        MODEL, losses.negative_elbo(MODEL), jnp.asarray(table)
    )


@pytest.mark.parametrize(
    ("rate", "epochs", "word", "advice"),
    [
        (1e-2, 80, "still improving", "give more epochs"),
        (1e-2, 40, "nothing learned", "without latents the loss is 8.514"),
        (10.0, 20, "diverged", "lower the learning rate"),
        (1e-7, 20, "nothing learned", "another learning rate"),
    ],
)
def test_what_was_seen_to_fail_says_so(float32, table, rate, epochs, word, advice):
    trained = fit(table, rate, epochs)
    assert trained.verdict.word == word
    assert advice in trained.verdict.advice


@pytest.mark.thorough
def test_steps_that_are_not_finite_are_warned_of(table):
    with pytest.warns(RuntimeWarning, match="steps were not finite and were left out"):
        trained = fit(table, 1e6)
    assert trained.verdict.word == "diverged"
    assert "lower the learning rate" in trained.verdict.advice
    assert trained.stopped  # an epoch without a step is the last
    assert np.isfinite(trained.loss[0])  # the mean over the steps that were taken


@pytest.mark.slow
def test_an_epoch_without_a_step_is_an_error(table):
    def loss(params, key, batch):
        value, terms = losses.negative_elbo(MODEL)(params, key, batch)
        return value * np.inf, terms

    with pytest.raises(ValueError, match="no step of the first epoch was finite, at a"):
        fit(table, 1e-3, loss=loss)


def test_a_table_in_thousands_is_named(table):
    with pytest.warns(RuntimeWarning, match=r"images reach .* event_tables.fit_scale"):
        trained = fit(3000 * table, 1e-3)
    assert trained.verdict.word == "nothing learned"
    assert np.isfinite(trained.loss).all()


def test_one_wild_value_is_named_and_every_step_is_taken(table):
    wild = table.copy()
    wild[17, 3] = 300.0
    with pytest.warns(RuntimeWarning, match="images reach 300 "):
        trained = fit(wild, 1e-3)
    assert trained.num_rejected == 0
    assert trained.verdict.word == "nothing learned"
    assert "row 17 holds 300 at index 17, 3" in trained.verdict.advice


def test_a_row_that_overflows_is_left_out_of_training_and_mean(table):
    wild = table.copy()
    wild[17, 3] = 1e20
    with pytest.warns(RuntimeWarning) as seen:
        trained = fit(wild, 1e-2, epochs=40)
    assert "row 17 holds 1e+20" in str(seen[-1].message)
    assert trained.num_rejected == 40  # its batch in every epoch
    # The step recovers from each: the others are learned as if it were not there.
    assert abs(trained.loss[-1] - fit(table, 1e-2, epochs=40).loss[-1]) < 0.5


def test_sigmoid_outputs_take_no_levels_above_one():
    model = models.autoencoder((6,), hidden=())
    with pytest.raises(ValueError, match="divide by the highest level"):
        training.fit(model, jax.random.key(0), np.full((8, 6), 255), epochs=1)


@pytest.mark.slow
def test_an_ensemble_says_how_many(table):
    rows = np.tile(np.arange(512), (2, 1))
    trained = training.fit_ensemble(
        MODEL, jax.random.key(0), table, rows, epochs=20, optimizer=Adam(10.0)
    )
    assert trained.verdict.words == ("diverged", "diverged")
    says = str(trained).splitlines()[-1]
    assert "verdict" in says
    assert "diverged (2 of 2 runs): lower the learning rate" in says


def curve(*loss, error=0.01, first=10.0, **settings):
    loss = np.array(loss, float)
    return Curve(loss, np.full(len(loss), error), first, 10, **settings)


@pytest.mark.parametrize(
    ("of", "word"),
    [
        (curve(5, 4, 3, 2, 1), "still improving"),
        (curve(3, 2, 1, 1, 1), "converged"),
        (curve(3, 2, 1, 1, 1, baseline=0.5), "nothing learned"),
        (curve(3, 2, 1, 1, 1, baseline=1.5), "converged"),
        (curve(3, 2, 1), "still improving"),  # too few epochs to say
        (curve(3, 2, 1, 2, 6), "diverged"),  # fallen back
        (curve(11, 11, 11, 11, 11), "diverged"),
        (curve(9.99, 10, 10, 9.99, 10), "nothing learned"),
        (curve(3, 2, 1, 1, np.nan), "diverged"),
        (curve(5, 3.1, 3, 2.8, 2.6, error=0.2), "converged"),  # within its noise
    ],
)
def test_words_for_curves(of, word):
    assert judge(of) == word


def test_the_warm_up_of_the_kl_is_no_divergence():
    rising = curve(20, 60, 95, 100, 99.99, 99.98, 99.99, 99.98, first=540.0)
    assert judge(rising, warm_up=3) == "converged"


def test_latents_that_carry_nothing_are_named():
    loss, zero = np.array([3.0, 1.0, 1.0, 1.0, 1.0]), np.zeros(5)
    verdict = judge_all(loss, zero, np.array(9.0), {"kl": zero}, num_batches=5)
    assert verdict.word == "nothing learned"
    assert "the latents say nothing of an example" in verdict.advice


def test_the_loss_without_latents():
    random = np.random.default_rng(1)
    x = jnp.asarray(random.normal(1.0, 2.0, size=(50, 3)), jnp.float32)
    for scale in (None, 0.5):
        likelihood = likelihoods.gaussian(scale, min_scale=0.1)
        model = models.vae((3,), hidden=(), likelihood=likelihood)
        found = baseline.loss_without_latents(model, losses.negative_elbo(model), x)
        sd = x.std(axis=0) if scale is None else scale
        exact = -norm(x.mean(axis=0), sd).logpdf(x).sum(axis=1).mean()
        np.testing.assert_allclose(found, exact, rtol=1e-5)
    model = models.autoencoder((3,), hidden=(), output="identity")
    found = baseline.loss_without_latents(model, losses.mean_squared_error(model), x)
    np.testing.assert_allclose(found, x.var(axis=0).mean(), rtol=1e-5)
