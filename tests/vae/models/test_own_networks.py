"""Networks of one's own: a pair of pure functions, here made from Flax NNX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vijax import vae
from vijax.vae import evaluation, models, training
from vijax.vae.models import likelihoods
from vijax.vae.models.networks import Network


class Perceptron(nnx.Module):
    """Two layers of NNX."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(inputs, 8, rngs=rngs)
        self.last = nnx.Linear(8, outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(nnx.tanh(self.first(x)))


def from_nnx(inputs: int, outputs: tuple[int, ...]) -> Network:
    """Return the pair of functions: parameters are NNX's pure state."""

    def make(key: jax.Array) -> Perceptron:
        return Perceptron(inputs, int(np.prod(outputs)), nnx.Rngs(key))

    graph, shapes = nnx.split(nnx.eval_shape(lambda: make(jax.random.key(0))))

    def init(key: jax.Array):
        return nnx.to_pure_dict(nnx.state(make(key)))

    def apply(params, x):
        state = jax.tree.map(lambda leaf: leaf, shapes)
        nnx.replace_by_pure_dict(state, params)
        y = nnx.merge(graph, state)(x)
        return y.reshape(*x.shape[:-1], *outputs)

    return Network(init, apply)


@pytest.fixture(scope="module")
def model():
    plain = models.vae((3,), latent=2, hidden=(), likelihood=likelihoods.gaussian(0.5))
    return plain._replace(encoder=from_nnx(3, (2, 2)), decoder=from_nnx(2, (3, 1)))


@pytest.mark.thorough
def test_a_pair_of_functions_trains_and_is_evaluated(model, key):
    x = np.random.default_rng(0).normal(size=(200, 1)) * np.array([1.0, -1.0, 0.5])
    trained = training.fit(
        model,
        key,
        x.astype(np.float32),
        epochs=30,
        batch_size=50,
        optimizer=training.Adam(learning_rate=0.02),
    )
    found = evaluation.importance_log_evidence(
        model, trained.params, key, x[:50], num_samples=500
    )
    exact = evaluation.quadrature_log_evidence(model, trained.params, x[:50])
    gap = np.asarray(found.log_evidence - exact)
    assert np.all(np.abs(gap) < 5 * np.asarray(found.standard_error) + 1e-3)
    # The data lie near a line: better than independent normals of their scales.
    apart = -np.log(x.std(axis=0) * np.sqrt(2 * np.pi * np.e)).sum()
    assert np.mean(exact) > apart + 0.5


@pytest.mark.thorough
def test_its_parameters_are_its_own_and_its_file_says_no(model, key, tmp_path):
    params = models.init(model, key)
    assert params.encoder["first"]["kernel"].shape == (3, 8)
    np.testing.assert_allclose(
        models.encode(model, params, jnp.zeros((4, 3))).loc.shape, (4, 2)
    )
    with pytest.raises(ValueError, match="the model's encoder is not made by vijax"):
        vae.save(tmp_path / "mine.npz", model, params)
