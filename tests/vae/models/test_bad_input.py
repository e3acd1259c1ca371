"""What models, their losses and likelihoods refuse, by name and with what to give."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.vae.refusals import refuses
from vijax.vae.models import losses
from vijax.vae.models.autoencoders import autoencoder, init_at_mean, vae
from vijax.vae.models.gradient_estimators import exact, reparametrised
from vijax.vae.models.likelihoods import beta_binomial, binarize
from vijax.vae.models.posteriors import Posterior

KEY = jax.random.key(0)
MODEL = vae((4, 4), hidden=(8,))
PLAIN = autoencoder((4, 4), hidden=(8,))
CONVOLUTION = vae((4, 4), channels=(2,))
IMAGES = np.ones((20, 4, 4), np.float32)
Q = Posterior(jnp.zeros(2), jnp.zeros(2))

ARCHITECTURES = [
    refuses("latent = 0 ", vae, (4, 4), latent=0),
    refuses("latent = 1.5 ", autoencoder, (4,), latent=1.5),
    refuses("shape = 16 is not a shape", vae, 16),
    refuses("hidden = 8 ", vae, (4,), hidden=8),
    refuses("dtype = 'bf17'", vae, (4,), dtype="bf17"),
    refuses("likelihood = 'bernoulli' is none", vae, (4,), likelihood="bernoulli"),
]
FIRST_PARAMETERS = [
    refuses("not a VAE of Bernoulli pixels", init_at_mean, PLAIN, KEY, IMAGES),
    refuses(
        "images have shape (20, 3, 4): give (n, 4, 4)",
        init_at_mean,
        MODEL,
        KEY,
        IMAGES[:, :3],
    ),
    refuses("no bias for each pixel", init_at_mean, CONVOLUTION, KEY, IMAGES),
]
LIKELIHOODS = [
    refuses("num_levels = 2.5 ", beta_binomial, 2.5),
    refuses("images = nan (at index 1)", binarize, KEY, np.array([0.5, np.nan])),
]
LOSSES = [
    refuses("model is not an autoencoder", losses.mean_squared_error, MODEL),
    refuses("model is not a VAE", losses.negative_elbo, PLAIN),
    refuses("beta = inf ", losses.negative_elbo, MODEL, beta=np.inf),
]
GRADIENTS = [
    refuses("num_samples = 0 ", reparametrised, sum, Q, KEY, num_samples=0),
    refuses("num_nodes = 0 ", exact, sum, Q, num_nodes=0),
]


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize(
    ("call", "says"),
    [*ARCHITECTURES, *FIRST_PARAMETERS, *LIKELIHOODS, *LOSSES, *GRADIENTS],
)
def test_bad_input_is_named_with_a_remedy(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        call()


def test_lists_are_as_good_as_tuples():
    assert vae([4, 4], hidden=[8]) is vae((4, 4), hidden=(8,))
