"""What the evaluation of models refuses, by name and with what to give instead."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.vae.refusals import refuses
from vijax.vae.evaluation.annealed_sampling import (
    annealed_lower_bound,
    annealed_upper_bound,
)
from vijax.vae.evaluation.elbo import elbo_per_example, held_out_elbo
from vijax.vae.evaluation.latent_gaps import (
    DecodedData,
    nearest_distance,
    share_off_data,
)
from vijax.vae.evaluation.latent_maps import (
    decoded_means,
    latent_line,
    latent_traversal,
    quantile_grid,
    sliced_wasserstein,
    uniform_in_box,
)
from vijax.vae.evaluation.latent_usage import active_units, aggregate_posterior
from vijax.vae.evaluation.log_evidence import (
    importance_log_evidence,
    quadrature_log_evidence,
)
from vijax.vae.models import autoencoders

KEY = jax.random.key(0)
MODEL = autoencoders.vae((4, 4), hidden=(8,))
OTHER = autoencoders.vae((4, 4), hidden=(9,))
PLAIN = autoencoders.autoencoder((4, 4), hidden=(8,))
PARAMS = autoencoders.init(MODEL, KEY)
IMAGES = np.ones((20, 4, 4), np.float32)
GIVEN = (MODEL, PARAMS, KEY, IMAGES)  # the arguments of most functions here
Z, ZERO = jnp.ones((5, 2)), jnp.zeros(2)
DECODED = DecodedData(jnp.zeros((1, 1)), jnp.ones(3))

ELBO = [
    refuses(
        "x = 0.5 (at index 0, 0, 0) is not valid: bernoulli data are 0 or 1",
        held_out_elbo,
        MODEL,
        PARAMS,
        KEY,
        0.5 * IMAGES,
    ),
    refuses("give (n, 4, 4), n >= 2", held_out_elbo, MODEL, PARAMS, KEY, IMAGES[:1]),
    refuses("model is not a VAE", held_out_elbo, PLAIN, PARAMS, KEY, IMAGES),
    refuses("params are not this network's", held_out_elbo, OTHER, PARAMS, KEY, IMAGES),
    refuses("num_samples = 2.5 ", held_out_elbo, *GIVEN, num_samples=2.5),
]
LOG_EVIDENCE = [
    refuses("chunk_size = 0 ", importance_log_evidence, *GIVEN, chunk_size=0),
    refuses("num_samples = 1 ", importance_log_evidence, *GIVEN, num_samples=1),
    refuses(
        "width = -1.0 ", quadrature_log_evidence, MODEL, PARAMS, IMAGES, width=-1.0
    ),
    refuses(
        "z's shape = [3 2] is not valid: give (20, 2)",
        annealed_upper_bound,
        *GIVEN,
        np.zeros((3, 2)),
    ),
]
NO_IMAGE = [
    refuses("give (n, 4, 4), n >= 1", function, MODEL, PARAMS, *key, IMAGES[:0])
    for function, key in (
        (importance_log_evidence, (KEY,)),
        (quadrature_log_evidence, ()),
        (elbo_per_example, (KEY,)),
        (annealed_lower_bound, (KEY,)),
    )
]
LATENTS_USED = [
    refuses("batch_size = 0 ", aggregate_posterior, *GIVEN, batch_size=0),
    refuses("threshold = nan ", active_units, MODEL, PARAMS, IMAGES, threshold=np.nan),
]
MAPS = [
    refuses(
        "z's last axis = 5 is not valid: the model has 2 latents",
        decoded_means,
        MODEL,
        PARAMS,
        np.zeros((3, 5)),
    ),
    refuses("rows = 0 ", decoded_means, MODEL, PARAMS, np.zeros((0, 2))),
    refuses("side = 0 ", quantile_grid, 0),
    refuses("latent = 1 ", quantile_grid, 3, 1),
    refuses(
        "dimension = 2 is not valid: give 0 to 1",
        latent_traversal,
        ZERO,
        2,
        jnp.zeros(3),
    ),
    refuses("dimension = 0.5 ", latent_traversal, ZERO, 0.5, jnp.zeros(3)),
    refuses("steps = 1 ", latent_line, ZERO, jnp.ones(2), 1),
    refuses("end's length = 3 ", latent_line, ZERO, jnp.ones(3), 5),
    refuses("num_samples = -1 ", uniform_in_box, KEY, Z, num_samples=-1),
    refuses("num_projections = 0 ", sliced_wasserstein, Z, KEY, num_projections=0),
]
GAPS = [
    refuses("number of distances = 0 ", share_off_data, jnp.ones(0), DECODED, KEY),
    refuses(
        "num_resamples = 1 ", share_off_data, jnp.ones(3), DECODED, KEY, num_resamples=1
    ),
    refuses("references (0, 3)", nearest_distance, jnp.ones((2, 3)), jnp.ones((0, 3))),
]


@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize(
    ("call", "says"), [*ELBO, *LOG_EVIDENCE, *NO_IMAGE, *LATENTS_USED, *MAPS, *GAPS]
)
def test_bad_input_is_named_with_a_remedy(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        call()
