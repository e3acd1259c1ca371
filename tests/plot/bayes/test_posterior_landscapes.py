"""Landscapes: true point, density and contour lines are where they belong."""

import numpy as np
import pytest
from scipy import stats

from vijax.plot.bayes import posterior_landscapes

X = np.linspace(0, 5, 81)
Y = np.linspace(0, 4, 61)
TRUTH = (3.0, 1.0)


def gaussian(scale):
    x, y = stats.norm(3.2, scale).pdf(X), stats.norm(1.1, scale).pdf(Y)
    # exp(-r²/2) of the top holds the share 1 - exp(-r²/2) of a Gaussian.
    levels = tuple((1 - mass) / (2 * np.pi * scale**2) for mass in (0.5, 0.95))
    return posterior_landscapes.LandscapePanel(
        "N = 5", np.outer(x, y), levels, (3.2, 1.1)
    )


def draw(function, *landscapes):
    rows = {"Uniform": landscapes, "Exponential": landscapes}
    return function(X, Y, rows, labels=("λ₁", "λ₂"), truth=TRUTH)


def test_contour_map_marks_truth_and_mean_and_is_not_transposed():
    fig = draw(posterior_landscapes.landscape_contours, gaussian(0.5))
    for axis in fig.axes:
        mean, truth = (
            next(line for line in axis.lines if line.get_label() == label)
            for label in ("posterior mean", "true value")
        )
        np.testing.assert_allclose(truth.get_data(), [[3], [1]])
        np.testing.assert_allclose(mean.get_data(), [[3.2], [1.1]])
        (image,) = axis.images
        values = np.asarray(image.get_array())  # (y, x)
        cell = X[1] / 2, Y[1] / 2
        edges = -cell[0], 5 + cell[0], -cell[1], 4 + cell[1]
        np.testing.assert_allclose(image.get_extent(), edges)
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert Y[row] == pytest.approx(1.1, abs=0.05)
        assert X[column] == pytest.approx(3.2, abs=0.05)


def test_contour_line_is_where_the_density_has_the_level():
    fig = draw(posterior_landscapes.landscape_contours, gaussian(0.5))
    (lines,) = fig.axes[0].collections
    radii = [
        np.hypot(*(path.vertices - [3.2, 1.1]).T) / 0.5 for path in lines.get_paths()
    ]
    for radius, mass in zip(radii, (0.95, 0.5), strict=True):
        expected = np.sqrt(-2 * np.log(1 - mass))
        np.testing.assert_allclose(radius, expected, rtol=0.02)


def test_narrow_posterior_gets_an_inset_around_itself():
    fig = draw(posterior_landscapes.landscape_contours, gaussian(0.1))
    axis = fig.axes[0]
    (inset,) = axis.child_axes
    assert inset.get_xlim()[0] < 3.0 < 3.2 < inset.get_xlim()[1]
    assert np.ptp(inset.get_xlim()) < 1
    assert (
        not draw(posterior_landscapes.landscape_contours, gaussian(0.5))
        .axes[0]
        .child_axes
    )


def test_flat_prior_has_no_contour_lines():
    flat = posterior_landscapes.LandscapePanel("N = 0", np.full((81, 61), 1 / 25))
    axis = draw(posterior_landscapes.landscape_contours, flat).axes[0]
    assert not axis.collections


def test_surface_stands_over_the_right_point():
    fig = draw(posterior_landscapes.landscape_surfaces, gaussian(0.5))
    axis = fig.axes[0]
    line = axis.lines[0].get_data_3d()
    np.testing.assert_allclose(line[0], 3)
    np.testing.assert_allclose(line[1], 1)
    assert axis.get_title() == "Uniform\nN = 5"
    assert axis.get_xlabel() == "λ₁"
    top = 1 / (2 * np.pi * 0.5**2)
    assert axis.get_zlim()[1] == pytest.approx(1.15 * top, rel=0.02)


def test_tracks_are_drawn_with_their_intervals():
    sizes = np.array([0, 1, 5])
    track = posterior_landscapes.PosteriorTrack(
        "Exponential", [3.0, 2.5, 2.9], [0.1, 0.5, 1.5], [9, 6, 4]
    )
    fig = posterior_landscapes.posterior_updates(
        sizes, {"λ₁": [track, track]}, truth=[3.0]
    )
    axis = fig.axes[0]
    np.testing.assert_allclose(axis.lines[0].get_data(), [sizes, track.mean])
    band = axis.collections[0].get_paths()[0].vertices
    at_five = band[band[:, 0] == 5][:, 1]
    assert (at_five.min(), at_five.max()) == (1.5, 4)
    assert axis.lines[2].get_ydata()[0] == 3.0
