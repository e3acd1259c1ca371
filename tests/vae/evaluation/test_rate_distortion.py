"""Rate against distortion where both are known."""

import jax
import numpy as np
import pytest

from vijax.vae.evaluation import Walk, rate_distortion


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("steps", "chains"),
    # Few steps: it is the weights that make it right.
    [(8, 400), pytest.param(60, 20, marks=pytest.mark.slow)],
)
def test_the_curve_of_the_solvable_model(linear_vae, key, steps, chains):
    # p_β(z | x) is normal with precision 1 + β |w_j|² / s², for W of orthogonal w_j.
    vae = linear_vae
    weights, bias = (
        np.asarray(vae.params.decoder["output"][name], np.float64)
        for name in ("kernel", "bias")
    )
    walk = Walk(num_steps=steps, num_chains=chains, num_leapfrog=3)
    found = [
        rate_distortion.rate_distortion_curve(
            vae.model, vae.params, one, vae.x, walk=walk, batch_size=50
        )
        for one in jax.random.split(key, 8)
    ]
    x, s2 = np.asarray(vae.x, np.float64) - bias, 0.25
    length = (weights**2).sum(axis=1)
    for at in (0, steps // 2, steps - 1):
        beta = float(found[0].beta[at])
        variance = 1 / (1 + beta * length / s2)
        mean = beta * (x @ weights.T) / s2 * variance  # (50, 2)
        rate = 0.5 * np.sum(variance + mean**2 - 1 - np.log(variance), axis=1)
        error = np.sum((x - mean @ weights) ** 2, axis=1) + variance @ length
        distortion = 0.5 * error / s2 + 3 * np.log(2 * np.pi * s2)
        for name, exact in (("rate", rate), ("distortion", distortion)):
            values = np.array([getattr(curve, name)[at] for curve in found])
            spread = values.std(ddof=1) / np.sqrt(8)
            assert spread < 0.02 * max(distortion.mean(), 1)
            # Student's t of 7 degrees of freedom: beyond 6 once in 2,000.
            assert abs(values.mean() - exact.mean()) < 6 * spread + 1e-4
        np.testing.assert_allclose(
            found[0].rate_standard_error[at],
            rate.std(ddof=1) / np.sqrt(50),
            atol=0.1,
        )
    assert found[0].beta[0] == 0
    assert found[0].rate[-1] > 1
