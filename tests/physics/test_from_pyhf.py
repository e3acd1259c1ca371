"""The log density of a HistFactory model is pyhf's, wherever it is asked for."""

import copy
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pyhf
import pytest

from tests.physics.workspaces import (
    CODES,
    one_bin,
    random_workspace,
    read,
    two_bins,
    workspace,
)
from vijax import physics, vi
from vijax.physics.target import template_fit

PUBLIC = (
    "2-bin_1-channel",
    "workspace_no_parameter_bounds",
    "xmlimport_input_bkg",
)


def draws(model, number, seed=0):
    """Parameters between their bounds, the last half near their middles."""
    rng = np.random.default_rng(seed)
    low, high = np.array(model.config.suggested_bounds()).T
    theta = rng.uniform(low, high, (number, len(low)))
    middle = 0.5 * (low + high)
    theta[number // 2 :] = middle + 0.2 * (theta[number // 2 :] - middle)
    return theta


def check_equal(target, model, data, number=6):
    theta = draws(model, number)
    wanted = np.array([model.logpdf(one, data)[0] for one in theta])
    found = jax.jit(jax.vmap(template_fit, (None, 0)))(target.data, jnp.array(theta))
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-8)
    assert np.isfinite(wanted).any()


@pytest.mark.thorough
@pytest.mark.parametrize("name", PUBLIC)
def test_log_density_of_public_workspaces_is_that_of_pyhf(name, shared, x64):
    path = shared / "data" / "pyhf" / f"{name}.json"
    check_equal(physics.from_pyhf(path), *read(json.loads(path.read_text())))


def check_codes(seed, codes):
    spec, settings = random_workspace(seed), CODES[codes]
    options = {} if settings is None else {"modifier_settings": settings}
    model, data = read(spec, **options)
    target = physics.from_pyhf(spec, modifier_settings=settings)
    check_equal(target, model, data)
    again = physics.from_pyhf(model, data)
    assert again.static == target.static


@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.parametrize(("seed", "codes"), list(enumerate(CODES)))
def test_log_density_with_every_modifier_is_that_of_pyhf(seed, codes, x64):
    check_codes(seed, codes)


@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 20))
@pytest.mark.parametrize("codes", list(CODES))
def test_log_density_of_many_workspaces_is_that_of_pyhf(seed, codes, x64):
    check_codes(seed, codes)


@pytest.fixture(scope="module")
def rich():
    """A random workspace with fixed entries, and its model and data, in float64."""
    with jax.enable_x64(True):
        spec = random_workspace(1)
        yield physics.from_pyhf(spec), *read(spec)


@pytest.fixture(scope="module")
def slopes(rich):
    """Log density and gradient of many positions, compiled once."""
    return jax.jit(jax.vmap(jax.value_and_grad(rich[0].log_density)))


def flat(values, model):
    return jnp.concatenate([jnp.ravel(values[name]) for name in model.config.par_order])


@pytest.mark.thorough
def test_target_has_the_jacobian_of_its_map(rich, x64):
    target, model, data = rich
    position = jnp.array(np.random.default_rng(0).normal(size=target.dim))

    def constrain(u):
        return flat(target.constrain(u), model)

    theta, slopes = jax.jit(lambda u: (constrain(u), jax.jacobian(constrain)(u)))(
        position
    )
    free = ~np.array(model.config.suggested_fixed())
    assert free.sum() == target.dim
    np.testing.assert_array_equal(slopes[~free], 0.0)
    _, log_det = np.linalg.slogdet(slopes[free])
    wanted = model.logpdf(np.array(theta), data)[0] + log_det
    np.testing.assert_allclose(jax.jit(target.log_density)(position), wanted, atol=1e-8)
    back = target.unconstrain(jax.jit(target.constrain)(position))
    np.testing.assert_allclose(back, position, atol=1e-10)


@pytest.mark.thorough
def test_gradient_is_that_of_finite_differences(rich, slopes, x64):
    position = jnp.array(np.random.default_rng(1).normal(size=rich[0].dim))
    step = 1e-5 * np.eye(len(position))
    values, gradients = slopes(
        jnp.concatenate([position + step, position - step, position[None]])
    )
    above, below = jnp.split(values[:-1], 2)
    np.testing.assert_allclose(
        gradients[-1], (above - below) / 2e-5, rtol=1e-6, atol=1e-6
    )


@pytest.mark.slow
def test_gradient_in_theta_is_that_of_pyhf_under_jax(rich, x64):
    target, model, data = rich
    theta = draws(model, 2)[1]
    pyhf.set_backend("jax", precision="64b")
    try:
        log_density = jax.jit(jax.grad(lambda one: model.logpdf(one, data)[0]))
        wanted = log_density(jnp.array(theta))
    finally:
        pyhf.set_backend("numpy")
        # It turned float64 on for the whole process.
        wide = os.environ.get("JAX_ENABLE_X64", "").lower() in ("1", "true")
        jax.config.update("jax_enable_x64", wide)
    found = jax.jit(jax.grad(template_fit, 1))(target.data, jnp.array(theta))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-8)


@pytest.mark.slow
def test_float32_keeps_the_digits_of_large_counts(float32):
    """Near the counts the gain is found from λ − n: 1e-3 of a log L of 10⁶ events."""
    channel = {
        "name": "region",
        "samples": [
            {
                "name": "background",
                "data": [2e5] * 5,
                "modifiers": [
                    {"name": "mu", "type": "normfactor", "data": None},
                    {"name": "tilt", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
                ],
            }
        ],
    }
    spec = workspace([channel], {"region": [200100.0, 199800, 200300, 199900, 2e5]})
    target = physics.from_pyhf(spec)
    position = target.unconstrain({"mu": jnp.array(1.002), "tilt": jnp.array(0.01)})
    assert position.dtype == jnp.float32
    model, data = read(spec)
    theta = flat(target.constrain(position), model)
    wanted = model.logpdf(np.array(theta, float), data)[0]
    found = template_fit(target.data, theta)
    np.testing.assert_allclose(found, wanted, atol=5e-3)


@pytest.mark.slow
def test_a_rate_of_zero_and_below_is_as_in_pyhf(x64):
    zero = {
        "name": "region",
        "samples": [
            {
                "name": "signal",
                "data": [0.0, 3.0],
                "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
            }
        ],
    }
    bounds = [{"name": "mu", "bounds": [[-2.0, 2.0]]}]
    spec = workspace([zero], {"region": [0.0, 2.0]}, bounds)
    target = physics.from_pyhf(spec)
    model, data = read(spec)
    for mu in (1.0, 0.0, -1.0):
        with np.errstate(all="ignore"):
            wanted = model.logpdf([mu], data)[0]
        found = template_fit(target.data, jnp.array([mu]))
        np.testing.assert_allclose(found, wanted)
    gradient = jax.grad(template_fit, 1)(target.data, jnp.array([1.0]))
    np.testing.assert_allclose(gradient, [-1.0])


@pytest.mark.thorough
def test_clipped_models_are_clipped(x64):
    model, data = read(two_bins(), clip_sample_data=7.0, clip_bin_data=62.0)
    check_equal(physics.from_pyhf(model, data), model, data)


@pytest.mark.thorough
def test_patches_and_measurements_are_applied(x64):
    spec = two_bins()
    other = copy.deepcopy(spec["measurements"][0]) | {"name": "wide"}
    other["config"]["parameters"] = [{"name": "mu", "bounds": [[0.0, 20.0]]}]
    spec["measurements"].append(other)
    patch = [{"op": "replace", "path": "/channels/0/samples/0/data", "value": [6, 7]}]
    target = physics.from_pyhf(spec, measurement="wide", patches=[patch])
    check_equal(target, *read(spec, "wide", patches=[patch]))
    middle = target.constrain(jnp.zeros(target.dim))
    np.testing.assert_allclose(middle["mu"], 10.0)


@pytest.mark.thorough
def test_a_specification_needs_no_parameter_of_interest(x64):
    channel = one_bin()["channels"][0]
    channel["samples"][0]["modifiers"][0]["name"] = "strength"
    target = physics.from_pyhf({"channels": [channel]}, [6.0])
    wanted = 6 * np.log(10.0) - 10 - np.log(720.0)
    found = template_fit(target.data, jnp.ones(1))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.thorough
def test_a_prior_adds_its_log_density(x64):
    flat_target = physics.from_pyhf(two_bins())
    prior = dist.HalfNormal(2.0)
    target = physics.from_pyhf(two_bins(), prior={"mu": prior})
    position = jnp.array([0.3, 0.1, -0.2])
    mu = target.constrain(position)["mu"]
    added = target.log_density(position) - flat_target.log_density(position)
    np.testing.assert_allclose(added, prior.log_prob(mu), rtol=1e-12)


@pytest.mark.thorough
def test_same_numbers_eagerly_compiled_and_mapped(x64):
    target = physics.from_pyhf(two_bins())
    positions = jnp.array(np.random.default_rng(2).normal(size=(3, target.dim)))
    eager = target.log_density(positions[0])
    np.testing.assert_allclose(jax.jit(target.log_density)(positions[0]), eager, 1e-13)
    mapped = jax.vmap(target.log_density)(positions)
    np.testing.assert_allclose(mapped[0], eager, rtol=1e-13)


@pytest.mark.thorough
def test_other_data_compile_nothing(compiled):
    look = jax.jit(lambda target, u: target.log_density(u))
    first = physics.from_pyhf(two_bins())
    other = physics.from_pyhf(two_bins((40.0, 71.0)))
    one = look(first, first.init)
    compiled.clear()
    another = look(other, first.init)
    assert compiled == []
    assert float(another) != float(one)


@pytest.mark.thorough
def test_expected_counts_are_those_of_pyhf(rich, x64):
    target, model, _ = rich
    theta = draws(model, 3)
    values = {
        name: theta[:, model.config.par_slice(name)] for name in model.config.par_order
    }
    values = {
        name: x[:, 0] if model.config.param_set(name).is_scalar else x
        for name, x in values.items()
    }
    found = physics.expected_counts(target, values)
    for channel, where in model.config.channel_slices.items():
        total = sum(found[channel].values())
        for row, one in zip(total, theta, strict=True):
            wanted = model.expected_actualdata(one)[where]
            np.testing.assert_allclose(row, wanted, rtol=1e-12)


@pytest.mark.slow
def test_posterior_by_fit_agrees_with_a_grid(x64, tmp_path):
    """One bin, no nuisance parameters: the posterior of μ is a Gamma, cut at 10."""
    target = physics.from_pyhf(one_bin())
    grid = np.linspace(0, 10, 200_001)
    rate = 6 * grid + 4
    weights = rate**6 * np.exp(-rate)
    mean = np.sum(grid * weights) / np.sum(weights)
    sd = np.sqrt(np.sum((grid - mean) ** 2 * weights) / np.sum(weights))
    fit = vi.fit(target, jax.random.key(0))
    table = vi.summary(fit)["mu"]
    assert fit.correctable
    np.testing.assert_allclose(table["corrected_mean"], mean, atol=0.01 * sd)
    np.testing.assert_allclose(table["corrected_sd"], sd, rtol=0.01)
    again = vi.load(vi.save(fit, tmp_path / "fit.npz"), target)
    assert float(again.elbo) == float(fit.elbo)
    with pytest.raises(ValueError, match="other data"):
        vi.load(tmp_path / "fit.npz", physics.from_pyhf(one_bin(7.0)))


@pytest.mark.slow
def test_chains_of_two_bins_have_the_names_of_the_parameters():
    target = physics.from_pyhf(two_bins())
    fit = vi.fit(target, jax.random.key(0), family="full_rank")
    chained = vi.nuts(fit, jax.random.key(1))
    assert chained.trusted
    draws = vi.sample(chained, jax.random.key(2), 5)
    assert {name: x.shape for name, x in draws.items()} == {"mu": (5,), "shape": (5, 2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": [53.0]}, r"data of shape \(1,\) is not valid: give 2 counts, or 4"),
        ({"data": [-1.0, 3.0]}, r"data = -1.0 is not valid: give counts >= 0"),
        ({"data": [np.nan, 3.0]}, "not finite"),
        ({"measurement": "absent"}, "says pyhf: InvalidMeasurement"),
        ({"prior": {"nu": dist.Normal()}}, r"'nu' is not one of \['mu', 'shape'\]"),
        ({"prior": {"shape": dist.Normal()}}, "has a constraint term"),
        ({"prior": {"mu": 3.0}}, "give a NumPyro distribution"),
        ({"prior": {"mu": dist.Normal(jnp.zeros(3), 1.0)}}, r"has shape \(3,\)"),
        ({"modifier_settings": {"histosys": {"interpcode": "code7"}}}, "code7"),
        ({"modifier_settings": {"normsis": {"interpcode": "code1"}}}, "'normsis'"),
        (
            {"modifier_settings": {"normsys": "code1"}},
            "'normsys': 'code1' is not valid",
        ),
        ({"data": ["a", "b"]}, "data is not valid: .* give a vector of counts"),
        (
            {"data": [[1.0], [2.0, 3.0]]},
            "data is not valid: .* give a vector of counts",
        ),
        ({"patches": [[{"op": "remove", "path": "/channels/9"}]]}, "says pyhf: Json"),
        ({"patches": [{"op": "remove"}]}, "says pyhf: InvalidJsonPatch"),
    ],
)
def test_bad_arguments_are_named(change, message, as_users_do):
    with pytest.raises(ValueError, match=message):
        physics.from_pyhf(two_bins(), **change)


def test_bad_models_are_named(tmp_path):
    with pytest.raises(ValueError, match="of type list is not valid: give a Hist"):
        physics.from_pyhf([1.0])
    with pytest.raises(ValueError, match="says pyhf: InvalidSpecification"):
        physics.from_pyhf(two_bins() | {"channels": [{"name": "a"}]})
    model, _ = read(two_bins())
    with pytest.raises(ValueError, match="data = None is not valid here"):
        physics.from_pyhf(model)
    with pytest.raises(ValueError, match="measurement, patches and modifier_settings"):
        physics.from_pyhf(model, [1.0, 2.0], measurement="fit")
    spec = two_bins()
    spec["measurements"][0]["config"]["parameters"] = [
        {"name": "mu", "fixed": True},
        {"name": "shape", "fixed": True},
    ]
    with pytest.raises(ValueError, match="all of its parameters are fixed"):
        physics.from_pyhf(spec)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(ValueError, match=r"broken\.json is not valid"):
        physics.from_pyhf(broken)


@pytest.mark.parametrize(
    ("sample", "data", "modifier", "message"),
    [
        (1, [np.nan, 60.0], None, "a template is not finite"),
        (1, [50.0, 60.0], ("shapesys", [np.nan, 1.0]), r"shapesys 'x' .* \[nan, 1.0\]"),
        (1, [50.0, 60.0], ("normsys", {"hi": 1.1, "lo": 0.0}), "numbers above 0"),
        (
            0,
            [5.0, 10.0],
            ("histosys", {"hi_data": [np.inf, 1.0], "lo_data": [1.0, 1.0]}),
            "histosys 'x' in channel 'region'",
        ),
    ],
)
def test_numbers_that_make_the_likelihood_nan_are_refused(
    sample, data, modifier, message
):
    spec = two_bins()
    changed = spec["channels"][0]["samples"][sample]
    changed["data"] = data
    if modifier is not None:
        kind, numbers = modifier
        changed["modifiers"].append({"name": "x", "type": kind, "data": numbers})
    with pytest.raises(ValueError, match=message):
        physics.from_pyhf(spec)


def test_a_shapefactor_that_reaches_too_far_is_refused():
    """Pyhf takes the parameter that stands first for the bins beyond."""
    factor = {"name": "free", "type": "shapefactor", "data": None}
    mu = {"name": "mu", "type": "normfactor", "data": None}
    channels = [
        {
            "name": name,
            "samples": [{"name": "all", "data": data, "modifiers": [factor, mu]}],
        }
        for name, data in (("a", [1.0]), ("b", [1.0, 2.0]))
    ]
    spec = workspace(channels, {"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="too few for channel 'b'"):
        physics.from_pyhf(spec)


def test_the_extra_is_named_where_pyhf_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyhf", None)
    with pytest.raises(ImportError, match=r"from_pyhf needs pyhf: .*\[physics\]"):
        physics.from_pyhf(two_bins())
