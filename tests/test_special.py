"""Quantiles of Beta and Gamma against mpmath, and beside SciPy.

The table has 2400 points of each; `tests/references/make_special.py` made it.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special as scipy_special

from tests.cases import slow_except
from vijax import special
from vijax.special import elementwise, quantiles

TABLE = np.load(Path(__file__).parent / "references" / "special.npz")
EPS = np.finfo(float).eps


def reference(name):
    """Return parameters, p, upper, x, and what a relative change of p makes of x."""
    table = {key: TABLE[f"{name}_{key}"] for key in ("p", "upper", "x", "gradient")}
    rest = TABLE["beta_y"] if name == "beta" else 1.0
    p = table["p"]
    amplification = np.abs(table["gradient"][:, -1]) * np.minimum(p, 1 - p) * rest
    return TABLE[f"{name}_parameters"].T, p, table["upper"], table["x"], amplification


def either_tail(lower, upper, parameters, p, is_upper):
    return np.where(is_upper, upper(*parameters, p), lower(*parameters, p))


FUNCTIONS = {
    "beta": (special.betaincinv, special.betainccinv),
    "gamma": (special.gammaincinv, special.gammainccinv),
}
SCIPY = {
    "beta": (scipy_special.betaincinv, scipy_special.betainccinv),
    "gamma": (scipy_special.gammaincinv, scipy_special.gammainccinv),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_quantiles_agree_with_mpmath(name):
    parameters, p, upper, x, amplification = reference(name)
    ours = either_tail(*FUNCTIONS[name], parameters, p, upper)
    scipys = either_tail(*SCIPY[name], parameters, p, upper)
    assert np.all(ours[x == 0] == 0)
    normal = x > 1e-300
    error, scipys_error = (np.abs(v[normal] / x[normal] - 1) for v in (ours, scipys))
    floor = 4 * EPS * np.maximum(1, amplification[normal])
    assert np.median(error) <= EPS
    assert error.max() < 1e-12
    assert np.all(error <= 10 * np.maximum(scipys_error, floor))


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_batches_whose_last_elements_go_on_alone(name):
    parameters, p, upper, x, _ = reference(name)
    function = getattr(quantiles, f"{name}_quantile")
    found = function(*np.tile(parameters, (1, 4)), np.tile(p, 4), np.tile(upper, 4))
    np.testing.assert_allclose(found, np.tile(x, 4), rtol=1e-12, atol=1e-300)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
def test_quantile_has_its_probability_where_x_is_flat():
    (a, b), p, upper, x, _ = reference("beta")
    a, b, p = (v[~upper & (x > 1e-300)] for v in (a, b, p))
    x = special.betaincinv(a, b, p)
    found = np.exp(special.log_betainc(a, b, x))
    # Where x is not flat, near 1 above all, its last digit changes the probability.
    coarse = found - np.exp(special.log_betainc(a, b, np.nextafter(x, 0)))
    assert np.all(np.abs(found - p) <= 1e-13 + 2 * coarse)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", slow_except({"gamma"}, FUNCTIONS))
def test_derivatives_agree_with_mpmath(name):
    parameters, p, upper, x, _ = reference(name)
    expected = TABLE[f"{name}_gradient"].T * x  # d log x, or d logit x
    representable = x > 1e-290
    if name == "beta":
        expected = expected * TABLE["beta_y"]
        representable &= TABLE["beta_y"] > 1e-290
    expected[-1, upper] *= -1  # given is the lower tail's p
    arguments = tuple(range(len(parameters) + 1))
    p = np.concatenate([p, [0.0, 1.0]])  # and two edges
    parameters = np.pad(parameters, [(0, 0), (0, 2)], mode="edge")
    lower, upper_ones = (
        np.array(jax.vmap(jax.grad(function, arguments))(*parameters, p))
        for function in FUNCTIONS[name]
    )
    ours = np.where(upper, upper_ones[:, :-2], lower[:, :-2])
    np.testing.assert_allclose(
        ours[:, representable], expected[:, representable], rtol=1e-9
    )
    assert not np.isnan(lower).any()
    assert not np.isnan(upper_ones).any()


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except({"gamma"}, FUNCTIONS))
def test_float32(name):
    parameters, p, upper, x, amplification = reference(name)
    single = (x > 1e-30) & (p >= 1e-12) & (p.astype(np.float32) < 1)
    shapes = [v[single].astype(np.float32) for v in parameters]
    p, upper = p[single].astype(np.float32), upper[single]
    ours = either_tail(*FUNCTIONS[name], shapes, p, upper)
    assert ours.dtype == np.float32
    with jax.enable_x64(True):
        exact = either_tail(
            *FUNCTIONS[name], [v.astype(float) for v in shapes], p.astype(float), upper
        )
    tolerance = 3e-6 * np.maximum(1, amplification[single])
    assert np.all(np.abs(ours / exact - 1) <= tolerance)


@pytest.mark.thorough
def test_single_precision_up_to_1e12():
    """Beta(b, 1) in closed form: x^b = 1/2 where 1 - x is down to 7e-13."""
    b = np.array([1e6, 1e9, 5e9, 1e12], np.float32)
    expected = -np.expm1(np.log(0.5) / b.astype(float))
    with jax.enable_x64(False):
        np.testing.assert_allclose(
            special.betainccinv(1.0, b, 0.5), expected, rtol=1e-6
        )
        ends = special.betaincinv(1.0, b, 0.5), 1 - special.betaincinv(b, 1.0, 0.5)
    np.testing.assert_allclose(ends[0], expected, rtol=1e-6)
    np.testing.assert_allclose(ends[1], expected, atol=1.2e-7)


def test_single_precision_beside_one():
    """Beta(a, b) with a up to 1e12, by SciPy in double precision: 1 - x has digits."""
    a, b, p = np.array(
        [
            (5e9, 0.5, 0.5),
            (5e9, 1, 0.99),
            (5e9, 3, 0.2),
            (1e12, 2, 0.3),
            (1e8, 10, 0.5),
        ],
        np.float32,
    ).T
    rest = special.betainccinv(b, a, p)
    expected = scipy_special.betainccinv(*(v.astype(float) for v in (b, a, p)))
    np.testing.assert_allclose(rest, expected, rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((2.0, 3.0, 0.0), 0.0),
        ((2.0, 3.0, 1.0), 1.0),
        ((2.0, 3.0, -1e-9), np.nan),
        ((2.0, 3.0, 1 + 1e-9), np.nan),
        ((2.0, 3.0, np.nan), np.nan),
        ((0.0, 3.0, 0.5), np.nan),
        ((2.0, -3.0, 0.5), np.nan),
        ((np.nan, 3.0, 0.5), np.nan),
        ((np.inf, 3.0, 0.5), np.nan),
        ((1e-3, 2.0, 0.3), 0.0),  # 0.3^1000 underflows
        ((2.0, 1e-3, 0.7), 1.0),
        ((1e-8, 1e-8, 0.6), 1.0),
    ],
)
def test_beta_edges(arguments, expected):
    a, b, p = arguments
    np.testing.assert_equal(special.betaincinv(a, b, p).item(), expected)
    np.testing.assert_equal(special.betainccinv(b, a, p).item(), 1 - expected)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("a", "p", "expected"),
    [
        (2.0, 0.0, 0.0),
        (2.0, 1.0, np.inf),
        (2.0, -0.1, np.nan),
        (2.0, 1.1, np.nan),
        (2.0, np.nan, np.nan),
        (-2.0, 0.5, np.nan),
        (np.inf, 0.5, np.nan),
        (1e-3, 0.3, 0.0),
    ],
)
def test_gamma_edges(a, p, expected):
    np.testing.assert_equal(special.gammaincinv(a, p).item(), expected)
    np.testing.assert_equal(special.gammainccinv(a, 1 - p).item(), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_transformations(key):
    a, b = jnp.exp(jax.random.normal(key, (2, 30)))
    p = jnp.linspace(0.01, 0.99, 30)
    grid = special.betaincinv(a[:, None], b, p)
    nested = jax.vmap(jax.vmap(special.betaincinv, (None, 0, 0)), (0, None, None))
    np.testing.assert_allclose(nested(a, b, p), grid, rtol=1e-13)
    compiled = jax.jit(special.betaincinv)(a, b, p)
    np.testing.assert_allclose(compiled, jnp.diagonal(grid), rtol=1e-14)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
def test_chunks_are_put_together(monkeypatch, key):
    a = jnp.exp(2 * jax.random.normal(key, (5000,)))
    monkeypatch.setattr(elementwise, "CHUNK", 800)  # seven chunks, the last one padded
    whole = special.gammaincinv(a, 0.3)
    monkeypatch.undo()
    parts = [special.gammaincinv(part, 0.3) for part in a.reshape(2, 2500)]
    np.testing.assert_allclose(whole, jnp.concatenate(parts), rtol=1e-13)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_second_derivatives():
    point, step = jnp.array([2.5, 0.3]), 1e-5
    gradient = jax.jit(jax.grad(lambda v: special.gammaincinv(*v)))
    hessian = jax.jit(jax.jacfwd(gradient))(point)
    for i, shift in enumerate(step * jnp.eye(2)):
        expected = (gradient(point + shift) - gradient(point - shift)) / (2 * step)
        np.testing.assert_allclose(hessian[i], expected, rtol=1e-7, atol=1e-8)


@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize("bad", ["1", 1j, None, [1.0, "x"]])
def test_what_is_no_real_number_is_refused(bad):
    with pytest.raises(ValueError, match="give real numbers"):
        special.gammaincinv(1.0, bad)
