"""Files that decode to the input bit for bit, of the length that the bound says."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vijax.vae import event_tables
from vijax.vae.compression import bits_back, file_format
from vijax.vae.evaluation import elbo
from vijax.vae.models import autoencoders, bound_terms, likelihoods

init = jax.jit(autoencoders.init, static_argnums=0)


def make(likelihood, num_levels, num_images=200, shape=(5, 5)):
    """Return a model as it is drawn, and images of random levels."""
    model = autoencoders.vae(shape, latent=3, hidden=(16,), likelihood=likelihood)
    params = init(model, jax.random.key(0))
    rng = np.random.default_rng(1)
    levels = rng.binomial(num_levels - 1, 0.3, size=(num_images, *shape))
    return model, params, (levels / (num_levels - 1)).astype(np.float32)


@pytest.fixture(scope="module")
def binary():
    return make(likelihoods.bernoulli(), 2)


@partial(jax.jit, static_argnums=0)
def log_weights_of_draws(model, params, x):
    q = autoencoders.encode(model, params, x)
    z = bound_terms.draw(jax.random.key(2), q, num_samples=500)
    normal = jax.scipy.stats.norm.logpdf
    log_ratio = normal(z) - normal(z, q.loc, jnp.exp(q.log_scale))
    return bound_terms.log_likelihood(model, params, x, z) + log_ratio.sum(axis=-1)


@pytest.fixture
def bits_beside(monkeypatch):
    """Return a function that says how long header and numbers of batches are."""
    found, batches = bits_back._affordable, []

    def counted(stack, scale, options):
        batches.append(sum(np.log2(len(numbers)) for numbers in options))
        return found(stack, scale, options)

    monkeypatch.setattr(bits_back, "_affordable", counted)

    def since_last_time():
        total = 8 * 42 + sum(batches)
        batches.clear()
        return total

    return since_last_time


def bits_of_draws(model, params, x):
    """Return −log2 p(x, z) / q(z | x) of 500 draws of z for each image."""
    return -np.asarray(log_weights_of_draws(model, params, x)) / np.log(2)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("likelihood", "num_levels"),
    [
        (likelihoods.bernoulli(), 2),
        pytest.param(likelihoods.beta_binomial(17), 17, marks=pytest.mark.slow),
        (likelihoods.discretised_logistic(17), 17),
    ],
)
def test_file_decodes_exactly_and_is_as_long_as_the_bound(
    likelihood, num_levels, bits_beside
):
    """The rate is the model's -ELBO, whether the model is good or, as here, is not."""
    model, params, x = make(likelihood, num_levels)
    data = file_format.encode_images(model, params, x, num_levels=num_levels)
    decoded = file_format.decode_images(model, params, data)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, x)
    bits = bits_of_draws(model, params, x)
    spread = np.sqrt(bits.var(axis=0).sum())  # of one draw for each image
    length = 8 * len(data) - bits_beside()
    # The first image adds some 30 bits.
    assert abs(length - 30 - bits.mean(axis=0).sum()) < 3 * spread + 30


@pytest.mark.thorough
def test_more_draws_take_fewer_bits(binary):
    """With K draws the rate is the importance-weighted bound, nearer to log p(x)."""
    model, params, x = binary
    far = params._replace(encoder=jax.tree.map(lambda a: 1.5 * a, params.encoder))
    log_w = -bits_of_draws(model, far, x) * np.log(2)  # 500 draws
    groups = log_w[:496].reshape(8, 62, len(x))
    bounds = {1: log_w.mean(axis=0)}
    bounds[8] = np.mean(np.log(np.mean(np.exp(groups), axis=0)), axis=0)
    sizes = {}
    for number in bounds:
        data = file_format.encode_images(model, far, x, num_samples=number)
        np.testing.assert_array_equal(file_format.decode_images(model, far, data), x)
        sizes[number] = 8 * len(data)
    bits = {number: -bound.sum() / np.log(2) for number, bound in bounds.items()}
    # The first images have bits for fewer draws.
    assert sizes[8] < sizes[1] - 0.5 * (bits[1] - bits[8])
    assert sizes[8] > bits[8]
    with pytest.raises(ValueError, match="num_samples = 0"):
        file_format.encode_images(model, params, x, num_samples=0)


@pytest.mark.slow
def test_draws_that_are_not_chosen_do_not_spoil_the_next_ones():
    """Draws far out in the coder's tails looked as if they were worth choosing."""
    model = autoencoders.vae((4, 4), latent=30, hidden=())
    params = init(model, jax.random.key(0))
    params = params._replace(decoder=jax.tree.map(lambda a: 3 * a, params.decoder))
    x = np.random.default_rng(0).integers(2, size=(400, 4, 4)).astype(np.float32)
    one, many = (
        len(file_format.encode_images(model, params, x, num_samples=number))
        for number in (1, 8)
    )
    assert many < one


@pytest.mark.thorough
def test_scrambling_pays_where_data_surprise_the_model(monkeypatch):
    model = autoencoders.vae((4, 4), latent=30, hidden=())
    params = init(model, jax.random.key(0))
    params = params._replace(decoder=jax.tree.map(lambda a: 3 * a, params.decoder))
    x = np.random.default_rng(0).integers(2, size=(400, 4, 4)).astype(np.float32)
    scrambled = len(file_format.encode_images(model, params, x))
    monkeypatch.setattr(bits_back, "_scrambled", lambda stack, seed: stack)
    assert scrambled < 0.97 * len(file_format.encode_images(model, params, x))


@pytest.mark.slow
def test_many_latents_wait_until_there_are_bits_for_them(bits_beside):
    """What is not there cannot come back: half of the batches found an empty stack."""
    model = autoencoders.vae((4,), latent=100, hidden=())
    params = init(model, jax.random.key(0))
    params = params._replace(encoder=jax.tree.map(lambda a: 0.1 * a, params.encoder))
    x = np.random.default_rng(0).integers(2, size=(300, 4)).astype(np.float32)
    data = file_format.encode_images(model, params, x, latent_step=2.0**-12)
    np.testing.assert_array_equal(file_format.decode_images(model, params, data), x)
    bits = bits_of_draws(model, params, x)
    spread = np.sqrt(bits.var(axis=0).sum())
    dear = 100 * np.log2(np.sqrt(2 * np.pi) * 2.0**12)  # z of an image: nothing back
    excess = 8 * len(data) - bits_beside() - bits.mean(axis=0).sum()
    assert 0.9 * dear - 3 * spread < excess < 2.1 * dear + 3 * spread


def test_levels_that_the_model_does_not_know_take_no_bits(binary):
    model, params, x = binary
    two, many = (
        len(file_format.encode_images(model, params, x, num_levels=number))
        for number in (2, 4)
    )
    # The two files draw other z.
    spread = np.sqrt(2 * bits_of_draws(model, params, x).var(axis=0).sum())
    assert 8 * abs(many - two) < 4 * spread < 0.1 * 8 * two


@pytest.mark.thorough
def test_bits_come_back(binary):
    """Sixteen times finer latents cost 4 bits each, unless they come back."""
    model, params, x = binary
    # Each file draws its own z, and in another order of the images others.
    orders = [np.random.default_rng(seed).permutation(len(x)) for seed in range(8)]
    coarse, fine = (
        np.mean(
            [
                len(
                    file_format.encode_images(model, params, x[order], latent_step=step)
                )
                for order in orders
            ]
        )
        for step in (2.0**-5, 2.0**-9)
    )
    lost = 4 * 3 * len(x)  # bits of 3 latents of all images
    spread = np.sqrt(2 * bits_of_draws(model, params, x).var(axis=0).sum())
    assert 8 * abs(fine - coarse) < 3 * spread < 0.2 * lost


@pytest.mark.parametrize("num_images", [1, 2, 33])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_any_number_of_images(binary, num_images, batch_size):
    model, params, x = binary
    data = file_format.encode_images(
        model, params, x[:num_images], batch_size=batch_size
    )
    np.testing.assert_array_equal(
        file_format.decode_images(model, params, data), x[:num_images]
    )


def test_extreme_probabilities_decode(binary):
    """Pixels that the model is certain of, and wrong about, still decode."""
    model, params, x = binary
    certain = jax.tree.map(lambda leaf: 100 * leaf, params)
    data = file_format.encode_images(model, certain, x)
    np.testing.assert_array_equal(file_format.decode_images(model, certain, data), x)


def test_damage_is_found(binary):
    model, params, x = binary
    data = file_format.encode_images(model, params, x)
    for position in (len(data) - 1, len(data) // 2, 60):
        broken = bytearray(data)
        broken[position] ^= 1
        with pytest.raises(ValueError, match=r"does not decode|damaged"):
            file_format.decode_images(model, params, bytes(broken))
    with pytest.raises(ValueError, match=r"damaged|does not decode"):
        file_format.decode_images(model, params, data[:-4])
    with pytest.raises(ValueError, match="damaged"):
        file_format.decode_images(model, params, data[:-1])


def test_every_flipped_bit_of_the_header_is_found(binary):
    """Some hung, asked for half a terabyte, or ended the process."""
    model, params, x = binary
    data = file_format.encode_images(model, params, x[:3])
    for position in range(50):
        for bit in range(8):
            broken = bytearray(data)
            broken[position] ^= 1 << bit
            with pytest.raises(ValueError, match=r"damaged|no such file|format"):
                file_format.decode_images(model, params, bytes(broken))


@pytest.mark.usefixtures("nan_is_an_answer")
def test_what_the_coder_would_panic_at_is_refused_or_coded(binary, table_model):
    model, params, x = binary
    broken = jax.tree.map(lambda leaf: np.nan * leaf, params)
    with pytest.raises(ValueError, match="nan"):
        file_format.encode_images(model, broken, x)
    model, params, scale = table_model
    table, huge = np.zeros((3, 4)) + 1.0, jax.tree.map(lambda a: 1e30 * a, params)
    with pytest.raises(ValueError, match="the networks overflow"):
        file_format.encode_table(model, huge, table, scale, 0.1)
    row = event_tables.from_scaled(np.zeros((1, len(scale.loc))), scale)
    data = file_format.encode_table(model, params, row, scale, 0.1)
    found = file_format.decode_table(model, params, data)
    np.testing.assert_allclose(found, row, atol=0.1)


def test_foreign_files_are_refused(binary):
    model, params, x = binary
    data = file_format.encode_images(model, params, x)
    with pytest.raises(ValueError, match="no such file"):
        file_format.decode_images(model, params, b"PK" + data)
    with pytest.raises(ValueError, match="no such file"):
        file_format.decode_images(model, params, data[:10])
    with pytest.raises(ValueError, match="format '2'"):
        file_format.decode_images(model, params, b"VXIM2" + data[5:])
    other = init(model, jax.random.key(9))
    with pytest.raises(ValueError, match="other parameters"):
        file_format.decode_images(model, other, data)


def test_bad_input_is_refused(binary):
    model, params, x = binary
    with pytest.raises(ValueError, match="bernoulli data are 0 or 1"):
        file_format.encode_images(model, params, 0.5 * x)
    with pytest.raises(ValueError, match="the data have shape"):
        file_format.encode_images(model, params, x[:, :4])
    with pytest.raises(ValueError, match=r"latent_step = 0\.0"):
        file_format.encode_images(model, params, x, latent_step=0.0)


@pytest.fixture(scope="module")
def events():
    """A table of whole numbers, of a correlated pair, and of positive numbers."""
    rng = np.random.default_rng(3)
    first = rng.normal(size=300)
    return np.stack(
        [
            rng.poisson(3.0, size=300) + 0.0,
            10 * first,
            10 * first + rng.normal(size=300),
            np.exp(first + rng.normal(size=300)),
        ],
        axis=1,
    )


@pytest.fixture(scope="module")
def table_model(events):
    scale = event_tables.fit_scale(events, logarithm=[False, False, False, True])
    model = autoencoders.vae(
        (4,), latent=2, hidden=(16,), likelihood=likelihoods.gaussian(None)
    )
    # Near N(0, 1): the coder's 24 bits cap what an event far out in a tail costs.
    params = jax.tree.map(lambda leaf: 0.3 * leaf, init(model, jax.random.key(0)))
    return model, params, scale


BOUND = np.array([0.4, 0.01, 0.3, 0.001])


def test_table_comes_back_within_its_bound(events, table_model):
    model, params, scale = table_model
    data = file_format.encode_table(model, params, events, scale, BOUND)
    decoded = file_format.decode_table(model, params, data)
    error = np.abs(decoded - events)
    error[:, 3] /= events[:, 3]  # relative where the scale is logarithmic
    assert np.all(error <= BOUND)
    assert error[:, 0].max() == 0  # whole numbers, with a bound below a half
    assert np.all(error.max(axis=0)[1:] > 0.9 * BOUND[1:])  # nothing wasted
    np.testing.assert_array_equal(np.rint(decoded[:, 0]), events[:, 0])


@pytest.mark.thorough
def test_table_costs_what_the_model_says(events, table_model):
    """Rate of bins = -log2 of density × width, for bins much finer than it."""
    model, params, scale = table_model
    bound = np.full(4, 1e-3)
    data = file_format.encode_table(model, params, events, scale, bound)
    bins = event_tables.to_bins(events, scale, bound)
    x = jnp.asarray(bins.lower + bins.step * bins.symbols, jnp.float32)
    estimate = elbo.held_out_elbo(model, params, jax.random.key(1), x, num_samples=200)
    nats = -float(estimate.elbo) - np.log(bins.step).sum()
    bits = len(events) * nats / np.log(2)
    # Columns take 6 × 8 bytes each, the header 40; one draw of z for each event.
    assert abs(8 * (len(data) - 40 - 192) - bits) < 0.02 * bits


def test_columns_of_more_bins_than_the_coder_has(table_model):
    """The coder has 24 bits; what is below 20 stands in the file as it is."""
    model, params, _ = table_model
    rng = np.random.default_rng(5)
    table = rng.normal(size=(120, 4)) * np.array([1.0, 1e4, 1.0, 1.0])
    table[:, 0] = rng.integers(0, 2**30, size=120)
    table[:, 3] = rng.integers(0, 3, size=120)
    scale = event_tables.fit_scale(table)
    bound = np.array([0.4, 1e-4, 0.01, 0.4])
    data = file_format.encode_table(model, params, table, scale, bound)
    decoded = file_format.decode_table(model, params, data)
    error = np.abs(decoded - table).max(axis=0)
    assert error[0] == error[3] == 0
    assert np.all(error <= bound)
    coarse = np.array([2.0**10, 1e-4 * 2**8, 0.01, 0.4])  # the bits that are coded
    coarse = len(file_format.encode_table(model, params, table, scale, coarse))
    bins = event_tables.to_bins(table, scale, bound).symbols.max(axis=0)
    plain = sum(int(n).bit_length() - 20 for n in bins[:2])
    # The coarse file's bins are within a factor of two as wide as what is coded here.
    assert abs(len(data) - coarse - plain * 120 / 8) < 0.02 * len(data) + 2 * 120 / 8
    for position in (len(data) - 5, 250, 400):  # among the plain bits, too
        broken = bytearray(data)
        broken[position] ^= 255
        with pytest.raises(ValueError, match=r"does not decode|damaged"):
            file_format.decode_table(model, params, bytes(broken))


def test_damaged_tables_are_found(events, table_model):
    model, params, scale = table_model
    data = file_format.encode_table(model, params, events, scale, BOUND)
    for position in (len(data) - 5, 60, 100, 230):
        broken = bytearray(data)
        broken[position] ^= 255
        with pytest.raises(ValueError, match=r"does not decode|damaged"):
            file_format.decode_table(model, params, bytes(broken))
    with pytest.raises(ValueError, match="no such file"):
        file_format.decode_images(model, params, data)


def test_scale_is_undone(events):
    scale = event_tables.fit_scale(events, logarithm=[False, False, False, True])
    u = event_tables.to_scaled(events, scale)
    np.testing.assert_allclose(u.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(u.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(event_tables.from_scaled(u, scale), events, rtol=1e-12)
    np.testing.assert_allclose(
        u[:, 3], scipy.stats.zscore(np.log(events[:, 3])), rtol=1e-9
    )


def test_bad_tables_are_refused(events, table_model):
    model, params, scale = table_model
    with pytest.raises(ValueError, match="take no logarithm"):
        event_tables.fit_scale(events, logarithm=True)
    with pytest.raises(ValueError, match="scaled by its logarithm"):
        file_format.encode_table(model, params, -events, scale, BOUND)
    with pytest.raises(ValueError, match=r"bound = 0\.0"):
        file_format.encode_table(model, params, events, scale, 0.0)
    with pytest.raises(ValueError, match=r"2\^31 bins"):
        file_format.encode_table(model, params, events, scale, 1e-12)
    with pytest.raises(ValueError, match="table = nan"):
        file_format.encode_table(model, params, np.full((2, 4), np.nan), scale, BOUND)


def test_masked_pixels_are_refused():
    model = autoencoders.vae((4, 4), latent=1, hidden=())
    params = init(model, jax.random.key(0))
    x = np.ma.array(np.eye(4, dtype=np.float32)[None], mask=np.eye(4)[None])
    with pytest.raises(ValueError, match="x has masked entries"):
        file_format.encode_images(model, params, x)
