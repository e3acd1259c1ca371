"""Rate against distortion where both are known."""

import numpy as np

from vijax.vae import rates


def test_the_curve_of_the_solvable_model(linear_vae, key):
    # p_β(z | x) is normal with precision 1 + β |w_j|² / s², for W of orthogonal w_j.
    vae = linear_vae
    weights, bias = (
        np.asarray(vae.params.decoder["output"][name], np.float64)
        for name in ("kernel", "bias")
    )
    found = rates.curve(
        vae.model, vae.params, key, vae.x, num_steps=150, num_chains=20,
        num_leapfrog=5, batch_size=50,
    )  # fmt: skip
    x, s2 = np.asarray(vae.x, np.float64) - bias, 0.25
    length = (weights**2).sum(axis=1)
    for at in (0, 60, 100, 149):
        beta = float(found.beta[at])
        variance = 1 / (1 + beta * length / s2)
        mean = beta * (x @ weights.T) / s2 * variance  # (50, 2)
        rate = 0.5 * np.sum(variance + mean**2 - 1 - np.log(variance), axis=1)
        error = np.sum((x - mean @ weights) ** 2, axis=1) + variance @ length
        distortion = 0.5 * error / s2 + 3 * np.log(2 * np.pi * s2)
        # A chain's distortion has a spread of about sqrt(2 latents / 2) nats.
        tolerance = 4 / np.sqrt(20 * 50) * max(1, distortion.std())
        assert abs(float(found.distortion[at]) - distortion.mean()) < tolerance
        assert abs(float(found.rate[at]) - rate.mean()) < 4 * 0.03
        np.testing.assert_allclose(
            found.rate_standard_error[at], rate.std(ddof=1) / np.sqrt(50), atol=0.05
        )
    assert float(found.rate[149]) > 1
    # At β = 1 the two add up to -log p(x); the last step is just before.
    total = float(found.rate[149] + found.distortion[149])
    assert abs(total + vae.log_evidence.mean()) < 0.2
    assert np.all(np.diff(np.asarray(found.beta)) > 0)
