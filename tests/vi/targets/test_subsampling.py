"""Models that see a subsample of their rows: scaled right, checked on all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.engine.batched_density import log_densities


def regression(x, y, num_rows):
    w = numpyro.sample("w", dist.Normal(jnp.zeros(x.shape[1]), 10.0).to_event(1))
    with numpyro.plate("rows", len(y), subsample_size=num_rows) as rows:
        numpyro.sample("y", dist.Normal(x[rows] @ w, 1.0), obs=y[rows])


def make(size, dim):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(size, dim)) @ (np.eye(dim) + 0.3)
    return x, x @ rng.normal(size=dim) + rng.normal(size=size)


def exact(x, y):
    covariance = np.linalg.inv(x.T @ x + np.eye(x.shape[1]) / 100)
    return covariance @ x.T @ y, covariance


@pytest.mark.thorough
@pytest.mark.parametrize("num_rows", [4, 20])  # with replacement, and without
def test_gradient_is_the_whole_datas_on_average(x64, num_rows):
    x, y = make(60, 3)
    whole = vi.from_numpyro(regression, x, y, 60)
    part = vi.from_numpyro(regression, x, y, num_rows)
    assert part.subsampled
    assert not whole.subsampled
    position = jnp.array([0.5, -1.0, 2.0])
    keys = jax.random.split(jax.random.key(1), 4000)
    look = jax.jit(jax.vmap(jax.grad(part.log_density), (None, 0)))
    found = look(position, keys)
    error = found.std(0) / 4000**0.5
    assert (error > 0).all()
    expected = jax.jit(jax.grad(whole.log_density))(position)
    assert (np.abs(found.mean(0) - expected) < 4 * error).all()
    # All rows, once each.
    positions = jnp.stack([position, -position])
    values = jax.jit(jax.vmap(whole.log_density))(positions)
    differences, reference = log_densities(part, positions)
    np.testing.assert_allclose(differences + reference, values, rtol=1e-12)


def check(fit, x, y):
    mean, covariance = exact(x, y)
    sd = np.sqrt(np.diag(covariance))
    assert fit.verdict == "converged"
    assert fit.trusted
    np.testing.assert_allclose((fit.q.loc - mean) / sd, 0.0, atol=0.03)
    np.testing.assert_allclose(fit.q.scale() / sd, 1.0, atol=0.03)
    assert (np.abs((fit.q.loc - mean) / sd) < 4 * fit.loc_error + 0.01).all()


def test_fit_finds_the_whole_datas_posterior(key):
    x, y = make(5000, 3)
    target = vi.from_numpyro(regression, x, y, 100)
    fit = vi.fit(target, key, family="full_rank")
    check(fit, x, y)
    mean, covariance = exact(x, y)
    rest = y - x @ mean
    evidence = (
        -2500 * np.log(2 * np.pi)
        - 0.5 * (rest @ rest + mean @ mean / 100)
        - 1.5 * np.log(100)
        + 0.5 * np.linalg.slogdet(covariance)[1]
    )
    assert abs(fit.log_evidence - evidence) < 0.05


@pytest.mark.slow
def test_a_million_rows(key):
    x, y = make(1_000_000, 5)
    fit = vi.fit(vi.from_numpyro(regression, x, y, 1000), key, family="full_rank")
    check(fit, x, y)


@pytest.mark.parametrize("options", [{"method": "fixed_draws"}, {"family": "laplace"}])
def test_what_needs_all_rows_is_refused(key, options):
    target = vi.from_numpyro(regression, *make(60, 3), 20)
    with pytest.raises(ValueError, match="needs all rows at once"):
        vi.fit(target, key, **options)


def levels(y, subsample_size):
    """A hierarchy whose unknowns are inside the plate that takes a subsample."""
    spread = numpyro.sample("spread", dist.HalfNormal(1.0))
    with numpyro.plate("rows", len(y), subsample_size=subsample_size):
        level = numpyro.sample("level", dist.Normal(0.0, spread))
        numpyro.sample(
            "y", dist.Normal(level, 0.5), obs=numpyro.subsample(y, event_dim=0)
        )


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 29])
def test_a_plate_with_unknowns_inside_takes_all_its_rows(size):
    y = jnp.linspace(-2.0, 2.0, 30)
    target, whole = (vi.from_numpyro(levels, y, number) for number in (size, None))
    assert (target.dim, target.subsampled) == (31, False)
    position = jnp.linspace(-1.0, 1.0, 31)
    expected = whole.log_density(position)
    assert target.log_density(position) == pytest.approx(float(expected), rel=1e-6)
    again = vi.from_numpyro(levels, y + 1.0, size)
    assert again.static == target.static  # what is compiled for one serves the other


@pytest.mark.slow
def test_structured_fits_the_unknowns_inside_a_subsampled_plate(key):
    y = jnp.linspace(-2.0, 2.0, 30)
    target, whole = (vi.from_numpyro(levels, y, number) for number in (5, None))
    fits = [vi.fit(t, key, family="structured") for t in (target, whole)]
    means = [vi.summary(fit)["spread"]["mean"] for fit in fits]
    assert means[0] == pytest.approx(means[1], rel=1e-4)
