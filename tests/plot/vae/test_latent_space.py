"""The figures of latent spaces: dots, images and gaps where they belong."""

import numpy as np
import pytest

from vijax.plot.vae import latent_space


def test_latents_are_dots_coloured_by_class():
    z = np.array([[0.0, 1.0, 9.0], [2.0, -1.0, 9.0]])
    fig = latent_space.latent_scatter({"VAE": z, "other": -z}, [3, 7], circles=["VAE"])
    vae, other, _ = fig.axes
    (dots,) = vae.collections
    np.testing.assert_allclose(dots.get_offsets(), z[:, :2])
    np.testing.assert_allclose(dots.get_array(), [3, 7])
    radii = [np.hypot(*line.get_data()) for line in vae.lines]
    np.testing.assert_allclose(radii, np.repeat([[1], [2], [3]], 200, axis=1))
    assert not other.lines


def test_image_grid_puts_the_first_row_at_the_top():
    images = np.arange(6.0).reshape(2, 3, 1, 1) * np.ones((4, 5))
    extent = (-1.0, 1.0, -2.0, 2.0)
    (ax,) = latent_space.image_grid(images, extent, unit=" / sd").axes
    (picture,) = ax.images
    mosaic = np.asarray(picture.get_array())
    assert mosaic.shape == (2 * 5, 3 * 6)  # a blank line after each image
    np.testing.assert_array_equal(mosaic[0, [0, 6, 12]], [0, 1, 2])
    np.testing.assert_array_equal(mosaic[5, [0, 6, 12]], [3, 4, 5])
    assert tuple(picture.get_extent()) == extent
    assert ax.get_xlabel() == "z₁ / sd"


def test_image_rows_carry_their_names():
    rows = {"data": np.zeros((2, 4, 4)), "VAE": np.ones((2, 4, 4))}
    fig = latent_space.image_rows(rows)
    assert [ax.get_ylabel() for ax in fig.axes] == ["data", "", "VAE", ""]
    drawn = [ax.images[0].get_array().mean() for ax in fig.axes]
    assert drawn == [0, 0, 1, 1]


def test_gaps_are_drawn_on_a_scale_of_octaves():
    ratio = np.array([[1.0, 2.0], [0.5, 100.0]])
    extent = (-1.0, 1.0, -2.0, 2.0)
    panel = latent_space.GapMap(ratio, extent, np.zeros((3, 2)), True)
    ax, bar = latent_space.gap_maps({"VAE": panel}).axes
    octaves = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(octaves, [[0, 1], [-1, 3]])  # 8 and more are one colour
    assert len(ax.lines) == 3
    assert (*ax.get_xlim(), *ax.get_ylim()) == extent
    assert bar.get_yticklabels()[-1].get_text() == "≥ 8"


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["cat", "dog", "cat"], ["cat", "dog"]),
        ([3, 12, 100], ["3", "12", "100"]),
        ([0, 9, 1], [str(digit) for digit in range(10)]),
    ],
)
def test_any_labels_have_a_colour_of_their_own(labels, names):
    z = np.arange(6.0).reshape(3, 2)
    fig = latent_space.latent_scatter({"VAE": z}, labels)
    panel, bar = fig.axes
    assert [text.get_text() for text in bar.get_yticklabels()] == names
    colours = panel.collections[0].to_rgba(panel.collections[0].get_array())
    distinct = {tuple(colour) for colour in colours}
    assert len(distinct) == len(set(labels))


def test_image_grid_takes_colours():
    images = np.zeros((2, 3, 4, 5, 3))
    images[1, 2, ..., 0] = 1.0  # a red one at the lower right
    (ax,) = latent_space.image_grid(images).axes
    mosaic = ax.images[0].get_array()
    assert mosaic.shape == (10, 18, 3)
    assert mosaic[5, 12].tolist() == [1.0, 0.0, 0.0]
