import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae import networks


def test_mlp_is_the_product_that_it_says(key):
    network = networks.mlp((2, 2), (3,), hidden=(5,), activation="relu")
    params = network.init(key)
    x = jax.random.normal(key, (7, 2, 2))
    hidden, output = params["Dense_0"], params["output"]
    before = np.asarray(x).reshape(7, 4) @ hidden["kernel"] + hidden["bias"]
    expected = np.maximum(before, 0) @ output["kernel"] + output["bias"]
    np.testing.assert_allclose(network.apply(params, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [(), (4,), (3, 4)])
def test_batch_axes_are_kept(key, batch):
    network = networks.mlp((4, 5), (2, 3), hidden=(8,))
    y = network.apply(network.init(key), jnp.zeros((*batch, 4, 5)))
    assert y.shape == (*batch, 2, 3)


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


def test_bfloat16_products_keep_float32_parameters(key):
    network = networks.mlp((6,), (2,), hidden=(16,), dtype="bfloat16")
    params = network.init(key)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert network.apply(params, jnp.ones((3, 6))).dtype == jnp.bfloat16


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
