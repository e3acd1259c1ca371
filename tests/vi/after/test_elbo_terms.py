"""The ELBO by site: closed forms, sums, what is not finite, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi


def model(y, rows=None):
    mean = numpyro.sample("mean", dist.Normal(0.0, 2.0))
    scale = numpyro.sample("scale", dist.LogNormal(0.0, 0.5))
    with numpyro.plate("rows", 30, subsample_size=rows) as index:
        numpyro.sample("y", dist.Normal(mean, scale), obs=y[index])
    numpyro.factor("extra", -0.5)


Y = np.random.default_rng(0).normal(1.0, 1.0, 30)


@pytest.mark.thorough
def test_terms_are_expectations_and_sum_to_the_elbo(key):
    fit = vi.fit(vi.from_numpyro(model, Y), key)
    found = vi.elbo_by_site(fit, jax.random.key(1), 20_000)
    assert list(found) == ["mean", "scale", "y", "extra", "entropy of q"]
    total = sum(term.value for term in found.values())
    np.testing.assert_allclose(total, found.elbo, rtol=1e-6)
    assert abs(found.elbo - float(fit.elbo)) < 4 * np.hypot(found.elbo_se, fit.elbo_se)
    loc, sd = np.asarray(fit.q.mean(), float), np.asarray(fit.q.scale(), float)
    # E log N(θ; 0, s²) under N(m, v): of mean, and of u = log scale with its map.
    exact = {
        name: dist.Normal(0.0, s).log_prob(m) - 0.5 * (v / s) ** 2
        for name, m, v, s in zip(("mean", "scale"), loc, sd, (2.0, 0.5), strict=True)
    }
    squares = np.sum((Y - loc[0]) ** 2) + len(Y) * sd[0] ** 2
    precision = np.exp(-2 * loc[1] + 2 * sd[1] ** 2)
    exact["y"] = (
        -len(Y) * (0.5 * np.log(2 * np.pi) + loc[1]) - 0.5 * squares * precision
    )
    exact["entropy of q"] = np.sum(0.5 * np.log(2 * np.pi * np.e) + np.log(sd))
    for name, value in exact.items():
        assert abs(found[name].value - float(value)) < 4 * found[name].standard_error
    assert found["extra"].value == -0.5
    assert found.elbo_se < found["y"].standard_error
    assert "ELBO" in str(found)


@pytest.mark.thorough
def test_subsamples_have_the_same_terms_on_average(key):
    fit = vi.fit(vi.from_numpyro(model, Y), key)
    part = fit._replace(target=vi.from_numpyro(model, Y, 10))
    whole = vi.elbo_by_site(fit, key, 4000)["y"]
    found = vi.elbo_by_site(part, key, 4000)["y"]
    assert found.standard_error > 1.2 * whole.standard_error
    assert abs(found.value - whole.value) < 4 * found.standard_error


@pytest.mark.thorough
def test_a_site_that_breaks_is_named(key, nan_is_an_answer):
    def breaks(y):
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(jnp.log(x + 1.5), 1.0), obs=y)

    fit = vi.fit(vi.from_numpyro(breaks, 0.0), key, family="laplace")
    found = vi.elbo_by_site(fit, key)
    assert found["y"].num_infinite > 0
    assert found["x"].num_infinite == 0
    assert "draws of q: y; check supports" in str(found)


@pytest.mark.thorough
def test_what_has_no_sites_is_refused(key):
    plain = vi.fit(vi.from_log_density(lambda x: -0.5 * x**2, 0.0), key)
    with pytest.raises(ValueError, match="plain log density"):
        vi.elbo_by_site(plain, key)
    fit = vi.fit(vi.from_numpyro(model, Y), key)
    with pytest.raises(ValueError, match="num_samples = 1"):
        vi.elbo_by_site(fit, key, 1)
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda key: vi.elbo_by_site(fit, key).elbo)(key)
