"""The figure of rate against distortion draws the curve and the VAE's point."""

import numpy as np
import pytest

from vijax.plot.vae import rate_distortion_plane
from vijax.plot.vae.rate_distortion_plane import CodePoints


def test_curve_and_point():
    beta = np.linspace(0, 1, 11)
    rate, error = 20 * beta, np.full(11, 0.5)
    distortion, excess = 100 - 30 * beta, 30 - 20 * beta - 10 * beta**2
    best = CodePoints(rate, error, distortion, error, excess, error)
    vae = CodePoints(18.0, 1.0, 80.0, 2.0, 8.0, 0.3)
    left, right = rate_distortion_plane.rate_against_distortion(best, beta, vae).axes
    lines = {line.get_label(): line for line in left.lines}
    drawn = lines["best for this decoder"].get_xydata()
    np.testing.assert_allclose(drawn, np.stack([rate, distortion], axis=1))
    assert [text.get_text() for text in left.texts] == [
        "β = 0",
        "β = 0.1",
        "β = 0.3",
        "β = 1",
    ]
    x, y = lines["sum = −log p(x)"].get_data()
    np.testing.assert_allclose(x + y, rate[-1] + distortion[-1])
    point = left.containers[1].lines[0].get_xydata()
    np.testing.assert_allclose(point, [[18.0, 80.0]])
    band = right.collections[0].get_paths()[0].vertices
    at_start = band[band[:, 0] == 0][:, 1]
    assert at_start.min() == pytest.approx(30 - 1.96 * 0.5)
    np.testing.assert_allclose(right.containers[0].lines[0].get_xydata(), [[18.0, 8.0]])
