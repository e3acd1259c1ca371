"""Models in a file: made again elsewhere, to the same numbers."""

import copy
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from vijax import archive, vae
from vijax.vae import event_tables, models, training
from vijax.vae.models import autoregressive, covariates, likelihoods, posteriors, priors

CONV = {"channels": (2,), "hidden": (3,)}
MODELS = {
    "autoencoder": models.autoencoder((4,), latent=1, hidden=(3,), output="identity"),
    "table": models.vae(
        (4,), latent=2, hidden=(), likelihood=likelihoods.gaussian(0.5)
    ),
    "learned scale": models.vae(
        (4,), hidden=(3,), likelihood=likelihoods.gaussian(None, min_scale=0.2)
    ),
    "colour": models.vae((4, 5, 3), latent=2, dtype="bfloat16", **CONV),
    "levels": models.vae(
        (4, 4),
        likelihood=likelihoods.discretised_logistic(16),
        activation="tanh",
        **CONV,
    ),
    "counts": models.vae((4,), hidden=(), likelihood=likelihoods.beta_binomial(4)),
    "grey": models.vae((4,), hidden=(), likelihood=likelihoods.continuous_bernoulli()),
    "mixture prior": models.vae((4,), hidden=(), prior=priors.mixture(3)),
    "vamp prior": models.vae((4, 4), hidden=(), prior=priors.vamp(2)),
    "flow prior": models.vae((4,), hidden=(3,), prior=priors.flow(hidden=3)),
    "full covariance": models.vae(
        (4,), hidden=(), posterior=posteriors.full_covariance()
    ),
    "autoregressive": models.vae(
        (4,), posterior=autoregressive.inverse_autoregressive(hidden=3, num_layers=1)
    ),
    "layers": models.layered_vae((4,), latents=(3, 2), hidden=((3,), (4,))),
    "ladder": models.layered_vae(
        (4,), latents=(3, 2), hidden=((3,), (4,)), ladder=True
    ),
    "ladder under a vamp prior": models.layered_vae(
        (4,), latents=(3, 2), hidden=((3,), (4,)), ladder=True, top=priors.vamp(2)
    ),
    "conditional": models.conditional_vae(
        (4,), num_covariates=2, prior=covariates.conditional_normal(2), hidden=()
    ),
    "masked": training.masked(models.vae((4,), latent=2, hidden=(3,))),
}
QUICK = {"learned scale", "levels", "vamp prior", "autoregressive", "layers"}
QUICK |= {"conditional", "masked"}


@pytest.mark.parametrize("name", slow_except(QUICK, MODELS))
def test_what_is_loaded_is_what_was_saved(tmp_path, name):
    model = MODELS[name]
    params = models.init(model, jax.random.key(0))
    stored = vae.load(vae.save(tmp_path / "model.npz", model, params))
    assert stored.model == model  # in one process even the same compiled programs
    assert hash(stored.model) == hash(model)
    assert jax.tree.structure(stored.params) == jax.tree.structure(params)
    for found, given in zip(
        *map(jax.tree.leaves, (stored.params, params)), strict=True
    ):
        np.testing.assert_array_equal(found, given, strict=True)


@pytest.mark.parametrize("name", MODELS)
def test_a_pickle_makes_the_same_model(name):
    """As a pool of processes asks it; in one process not even a copy."""
    model = MODELS[name]
    assert pickle.loads(pickle.dumps(model)) == model
    assert copy.deepcopy(model) == model


def test_a_changed_part_is_no_longer_what_its_recipe_makes():
    model = MODELS["layers"]
    other = model.likelihood._replace(prepare=as_it_is)
    assert other.__reduce__() == (type(other), tuple(other))  # field by field
    assert copy.deepcopy(model._replace(likelihood=other)).likelihood == other


def as_it_is(key, x):
    return x


@pytest.mark.thorough
def test_another_process_computes_the_same(tmp_path):
    model = models.vae(
        (3,),
        latent=2,
        hidden=(5,),
        likelihood=likelihoods.gaussian(None, min_scale=0.3),
    )
    params = models.init(model, jax.random.key(1))
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    scale = event_tables.fit_scale(np.abs(x) + 1.0, logarithm=True)
    extra = {"scale": scale, "columns": ["a", "b", "c"], "x": x}
    path = vae.save(tmp_path / "model.npz", model, params, extra=extra)
    program = (
        "import sys; from vijax import vae\n"
        "model, params, extra = vae.load(sys.argv[1])\n"
        "outputs = vae.models.decode(model, params, extra['x'][:, :2])\n"
        "print(model.likelihood.log_prob(extra['x'], outputs).tolist())\n"
        "x = vae.event_tables.to_scaled(abs(extra['x']) + 1, extra['scale'])\n"
        "print(x.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, check=True
    )
    log_prob, scaled = map(eval, done.stdout.decode().splitlines())
    outputs = models.decode(model, params, x[:, :2])
    expected = model.likelihood.log_prob(jnp.asarray(x), outputs)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-6)
    np.testing.assert_allclose(
        scaled, event_tables.to_scaled(np.abs(x) + 1.0, scale), rtol=1e-6
    )


def test_an_ensemble_keeps_its_runs(tmp_path):
    model = MODELS["table"]
    params = jax.vmap(lambda key: models.init(model, key))(
        jax.random.split(jax.random.key(0), 3)
    )
    stored = vae.load(vae.save(tmp_path / "three.npz", model, params))
    assert models.num_params(stored.params) == models.num_params(params)
    found = stored.params.decoder["output"]["kernel"]
    np.testing.assert_array_equal(found, params.decoder["output"]["kernel"])


def test_as_it_is_are_refused_by_name(tmp_path):
    model = MODELS["table"]
    own = models.networks.Network(model.encoder.init, model.encoder.apply)
    params = models.init(model, jax.random.key(0))
    with pytest.raises(ValueError, match="the model's encoder is not made by"):
        vae.save(tmp_path / "model.npz", model._replace(encoder=own), params)


def test_parameters_of_another_model_are_refused(tmp_path):
    params = models.init(MODELS["counts"], jax.random.key(0))
    with pytest.raises(ValueError, match="params' structure"):
        vae.save(tmp_path / "model.npz", MODELS["learned scale"], params)
    with pytest.raises(ValueError, match="params' shapes"):
        vae.save(tmp_path / "model.npz", MODELS["table"], params)


def test_files_of_another_kind_are_refused(tmp_path):
    path = archive.write(tmp_path / "notes.npz", {"a": 1}, kind="notes")
    with pytest.raises(ValueError, match=r"holds a notes, not a model of vijax\.vae"):
        vae.load(path)
