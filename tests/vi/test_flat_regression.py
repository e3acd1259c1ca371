r"""vi against a regression that is flat in β and σ, of which all is known exactly.

With N rows, p columns, S the residual sum of squares and ν = N − p − 1:

    posterior            σ² = S / χ²_ν,  β ~ t_ν of covariance S/(ν − 2) (XᵀX)⁻¹
    the best normal q    sd of log σ = 1/√(2 (N − 1)),  covariance of β = S/ν (XᵀX)⁻¹
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from vijax import vi


class Problem(NamedTuple):
    target: vi.Target  # unknowns: log σ, β
    rows: int
    freedom: int  # ν
    beta: np.ndarray  # least squares
    rest: float  # S
    inverse: np.ndarray  # (XᵀX)⁻¹

    @property
    def mean(self):
        log_sigma = 0.5 * (np.log(self.rest / 2) - special.digamma(self.freedom / 2))
        return np.append(log_sigma, self.beta)

    @property
    def sd(self):
        variances = self.rest / (self.freedom - 2) * np.diag(self.inverse)
        return np.append(
            0.5 * special.polygamma(1, self.freedom / 2) ** 0.5, variances**0.5
        )


def log_density(u, x, y):
    rest = y - x @ u[1:]
    return (1 - len(y)) * u[0] - 0.5 * jnp.exp(-2 * u[0]) * jnp.sum(rest**2)


def problem(rows=30, columns=6):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    target = vi.from_log_density(log_density, jnp.zeros(columns + 1), x, y)
    beta, rest, _, _ = np.linalg.lstsq(x, y)
    inverse = np.linalg.inv(x.T @ x)
    return Problem(target, rows, rows - columns - 1, beta, float(rest[0]), inverse)


@pytest.fixture
def fitted(x64, key):
    exact = problem()
    return exact, vi.fit(exact.target, key, family="full_rank")


@pytest.mark.thorough
def test_full_rank_is_the_best_normal(fitted):
    exact, fit = fitted
    # dELBO/dm = 0 and dELBO/ds = 0, with A = E_q[σ⁻²] = exp(2 s² − 2 m) = ν / S.
    variance = 0.5 / (exact.rows - 1)
    loc = np.append(variance + 0.5 * np.log(exact.rest / exact.freedom), exact.beta)
    covariance = exact.rest / exact.freedom * exact.inverse
    scale = np.append(variance, np.diag(covariance)) ** 0.5
    assert fit.verdict == "converged"
    assert max(fit.loc_error.max(), fit.scale_error.max()) < 0.01
    assert np.all(np.abs(fit.q.loc - loc) < 4 * fit.loc_error * scale + 1e-6)
    log_ratio = np.log(fit.q.scale() / scale)
    assert np.all(np.abs(log_ratio) < 4 * fit.scale_error + 1e-6)
    # So no normal can have the posterior's sds, and the verdict knows.
    np.testing.assert_allclose(scale[1:] / exact.sd[1:], (21 / 23) ** 0.5)
    assert not fit.trusted


def test_response_through_the_scale_finds_the_degrees_of_freedom(fitted):
    exact, fit = fitted
    raw, repaired = (
        sd / exact.sd for sd in (fit.q.scale(), np.sqrt(np.diag(fit.covariance)))
    )
    assert raw[0] < 0.9
    np.testing.assert_allclose(repaired[0], 1.0, atol=0.02)
    np.testing.assert_allclose(repaired[1:], 1.0, atol=0.05)
    # Long tails were found too: the column is of the normal, whatever else is drawn.
    assert fit.modes is not None
    assert "far around q" in fit.advice
    column = vi.summary(fit)["params"]["response_sd"]
    np.testing.assert_allclose(column, repaired * exact.sd, rtol=0.005)


@pytest.mark.slow
def test_corrected_moments_are_as_good_as_they_say(fitted):
    # Of 12 sets of draws; normals alone do not get there within eight batches.
    exact, fit = fitted
    tables = [vi.summary(fit, key=jax.random.key(k)) for k in range(12)]
    assert all(table.correctable for table in tables)
    for moment, truth in (("mean", exact.mean), ("sd", exact.sd)):
        found, error = (
            np.array([table["params"][f"corrected_{moment}{end}"] for table in tables])
            for end in ("", "_se")
        )
        assert np.all(error < 0.0051 * exact.sd)
        z = (found - truth) / error
        # 84 numbers, seven by seven of the same draws.
        assert 0.7 < np.sqrt(np.mean(z**2)) < 1.3
        assert np.all(np.abs(np.mean(z, axis=0)) < 4 / 12**0.5)
        assert np.max(np.abs(found - truth) / exact.sd) < 0.015


@pytest.mark.thorough
def test_mean_field_is_not_trusted_but_its_corrected_moments_are(x64, key):
    exact = problem()
    fit = vi.fit(exact.target, key)
    table = vi.summary(fit)
    assert not fit.trusted
    assert table.correctable
    for moment, truth in (("mean", exact.mean), ("sd", exact.sd)):
        found = table["params"][f"corrected_{moment}"]
        error = table["params"][f"corrected_{moment}_se"]
        assert np.all(np.abs(found - truth) < 4 * error)
        assert np.all(error < 0.0051 * exact.sd)


@pytest.mark.slow
def test_summary_under_vmap_keeps_to_its_draws(fitted):
    exact, fit = fitted

    @jax.jit
    @jax.vmap
    def tables(key):
        return dict(vi.summary(fit, key=key, num_samples=2000))

    columns = tables(jax.random.split(jax.random.key(1), 20))["params"]
    assert columns["corrected_mean"].shape == (20, 7)
    # The noise has mean 0 and covariance I: q's own moments are exact.
    for name, own in (("mean", fit.q.loc), ("sd", fit.q.scale())):
        np.testing.assert_allclose(columns[name] - own, 0.0, atol=1e-9)
    error = columns["corrected_mean_se"]
    assert np.all(np.abs(columns["corrected_mean"] - exact.mean) < 5 * error)
    # 1/√2000 is 0.022 sd. Some sets of draws hold a large weight, and say so.
    share = np.mean(error < 0.03 * exact.sd)
    assert share > 0.85
    # Where long tails were found, all sets have draws of them.
    assert share < 1 or fit.modes is not None
