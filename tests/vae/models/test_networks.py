import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.models import autoencoders, networks


@pytest.mark.thorough
def test_mlp_is_the_product_that_it_says(key):
    network = networks.mlp((2, 2), (3,), hidden=(5,), activation="relu")
    params = network.init(key)
    x = jax.random.normal(key, (7, 2, 2))
    hidden, output = params["Dense_0"], params["output"]
    before = np.asarray(x).reshape(7, 4) @ hidden["kernel"] + hidden["bias"]
    expected = np.maximum(before, 0) @ output["kernel"] + output["bias"]
    np.testing.assert_allclose(network.apply(params, x), expected, rtol=1e-5, atol=1e-6)


def test_parameters_start_as_flax_draws_them(key):
    # lecun_normal: sd 1/sqrt(inputs) of a normal cut at ± 2 of its own sd, 1/0.8796.
    network = networks.conv_encoder((8, 8), (3,), channels=(8, 16), hidden=(40,))
    params = network.init(key)
    layers = {
        "Conv_0": 9,
        "Conv_1": 9 * 8,
        "Dense_0": 4 * 16,
        "output": 40,
    }
    for name, inputs in layers.items():
        layer = params[name] if "Conv" in name else params["head"][name]
        kernel = np.asarray(layer["kernel"]) * np.sqrt(inputs)
        assert kernel[..., 0].size == inputs
        # The variance of the square of such a number is 1.37.
        error = np.sqrt(1.37 / kernel.size)
        assert abs(np.mean(kernel**2) - 1) < 4 * error
        assert abs(np.mean(kernel)) < 4 / np.sqrt(kernel.size)
        assert np.abs(kernel).max() <= 2 / 0.8796
        np.testing.assert_array_equal(layer["bias"], 0)
    # No number is used twice.
    leaves = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
    signs = np.unique(np.abs(leaves[leaves != 0])).size
    assert signs > 0.99 * np.count_nonzero(leaves)


@pytest.mark.parametrize("batch", [(), (4,), (3, 4)])
def test_batch_axes_are_kept(key, batch):
    network = networks.mlp((4, 5), (2, 3), hidden=(8,))
    y = network.apply(network.init(key), jnp.zeros((*batch, 4, 5)))
    assert y.shape == (*batch, 2, 3)


@pytest.mark.thorough
def test_one_example_and_a_batch_agree(key):
    network = networks.mlp((6,), (2,), hidden=(16,))
    params = network.init(key)
    x = jax.random.normal(key, (5, 6))
    np.testing.assert_allclose(
        jax.vmap(lambda one: network.apply(params, one))(x),
        network.apply(params, x),
        rtol=1e-5,
        atol=1e-6,
    )


def test_equal_arguments_give_the_same_network():
    make = lambda width: networks.mlp((3,), (2,), hidden=(width,))  # noqa: E731
    assert make(4) is make(4)
    assert make(4) != make(5)


@pytest.mark.thorough
def test_bfloat16_products_keep_float32_parameters(key):
    network = networks.mlp((6,), (2,), hidden=(16,), dtype="bfloat16")
    params = network.init(key)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    x = jnp.ones((3, 6), jnp.float32)
    exact = networks.mlp((6,), (2,), hidden=(16,)).apply(params, x)
    y = network.apply(params, x)
    assert y.dtype == jnp.float32
    assert 0 < np.max(np.abs(y - exact)) < 0.02  # bfloat16 keeps 8 bits


@pytest.mark.parametrize("shape", [(9, 7), (6, 4, 3)])
def test_convolutions_take_and_make_any_size(key, shape):
    encoder = networks.conv_encoder(shape, (2, 3), channels=(4, 5), hidden=(6,))
    decoder = networks.conv_decoder((3,), (*shape, 2), channels=(5, 4), hidden=(6,))
    x = jnp.zeros((4, 2, *shape))
    code = jax.eval_shape(lambda x: encoder.apply(encoder.init(key), x), x)
    assert code.shape == (4, 2, 2, 3)
    images = jax.eval_shape(lambda z: decoder.apply(decoder.init(key), z), code)
    assert images.shape == (4, 2, 2, *shape, 2)


@pytest.mark.thorough
def test_convolutions_shift_with_their_images(key):
    network = networks.conv_encoder((16, 16), (1,), channels=(3,), hidden=())
    params = network.init(key)
    # The head sums over places: a shift by one stride leaves the sum unchanged.
    head = params["head"]["output"] | {"kernel": jnp.ones((8 * 8 * 3, 1))}
    params = params | {"head": {"output": head}}
    image = jnp.zeros((16, 16)).at[4:8, 4:8].set(jax.random.normal(key, (4, 4)))
    moved = jnp.roll(image, (2, 4), (0, 1))
    np.testing.assert_allclose(
        network.apply(params, image), network.apply(params, moved), rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", [autoencoders.autoencoder, autoencoders.vae])
def test_convolutional_models(key, kind):
    model = kind((9, 10), channels=(3, 4), hidden=(5,), latent=3)
    x = jnp.zeros((2, 9, 10))
    params = autoencoders.init(model, key)
    assert (
        jax.jit(autoencoders.reconstruct, static_argnums=0)(model, params, x).shape
        == x.shape
    )


def test_convolutions_are_for_images():
    with pytest.raises(
        ValueError, match=r"shape = \(10,\): convolutions are for images"
    ):
        autoencoders.vae((10,), channels=(3,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "gleu"}, r"activation = 'gleu' is not known: choose from gelu"),
        ({"hidden": (8, 0)}, r"hidden = .* give widths of 1 or more"),
        ({"outputs": (0,)}, r"outputs = .* give sizes of 1 or more"),
        ({"inputs": ()}, r"inputs = .* give sizes of 1 or more"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        networks.mlp(**{"inputs": (3,), "outputs": (2,)} | arguments)


def test_wrong_input_shape(key):
    network = networks.mlp((28, 28), (2,), hidden=())
    with pytest.raises(ValueError, match=r"x has shape \(5, 8, 8\)"):
        network.apply(network.init(key), jnp.zeros((5, 8, 8)))
