"""Maps over priors: right way round, marks and regions in their places."""

import numpy as np
import pytest

from vijax.plot.bayes import prior_sweep

STRENGTH = np.geomspace(0.1, 1000, 41)
CENTRE = np.linspace(0.01, 0.99, 31)
GRID = np.log10(STRENGTH)[:, None] + 0 * CENTRE


@pytest.fixture
def plane():
    marks = {"uniform": (2.0, 0.5), "peaked": (20.0, 0.5)}
    return prior_sweep.PriorPlane(STRENGTH, CENTRE, "strength", "centre", marks)


@pytest.fixture
def fig(plane):
    maps = [
        prior_sweep.PriorMap("mean", 0 * GRID + CENTRE),
        prior_sweep.PriorMap("width", STRENGTH[:, None] + 0 * CENTRE, "log"),
        prior_sweep.PriorMap("ln K", GRID, "signed", 2.0),
    ]
    codes = (CENTRE > 0.5).astype(int) + 0 * GRID.astype(int)
    names = ["below", "above", "nowhere"]
    regions = prior_sweep.ConclusionRegions(
        "regions", codes, names, GRID, {0.0: "K = 1", 9.0: "never"}
    )
    return prior_sweep.prior_maps(plane, maps, regions)


def test_values_have_strength_along_x_and_centre_along_y(fig):
    mean = np.asarray(fig.axes[0].collections[0].get_array())
    np.testing.assert_allclose(mean[:, 0], CENTRE)
    np.testing.assert_allclose(mean[:, -1], CENTRE)


def test_scales(fig):
    _, width, evidence, _ = (axis.collections[0].norm for axis in fig.axes[:4])
    assert (width.vmin, width.vmax) == pytest.approx((0.1, 1000))
    assert width(10.0) == pytest.approx(0.5)  # logarithmic
    assert (evidence.vmin, evidence.vmax) == (-2, 2)


def test_priors_are_marked_on_every_panel(fig):
    for axis in fig.axes[:4]:
        points = [line.get_xydata()[0].tolist() for line in axis.lines]
        assert points == [[2.0, 0.5], [20.0, 0.5]]
        assert {"uniform", "peaked"} <= {text.get_text() for text in axis.texts}


def test_region_names_stand_inside_their_regions(fig):
    texts = {text.get_text(): text.get_position() for text in fig.axes[3].texts}
    assert texts["below"][1] < 0.5 < texts["above"][1]
    assert "nowhere" not in texts


def test_boundary_is_where_the_quantity_has_the_level(fig):
    panel = fig.axes[3]
    assert len(panel.collections) == 2  # the regions and one line: 9 is never reached
    (path,) = panel.collections[1].get_paths()
    np.testing.assert_allclose(path.vertices[:, 0], 1.0, rtol=1e-6)
    assert [t.get_text() for t in panel.get_legend().get_texts()] == ["K = 1", "never"]


def test_middle_is_the_point_with_most_room():
    inside = np.zeros((40, 30), bool)
    inside[:4, :] = True
    inside[10:39, 8:21] = True
    row, column = prior_sweep._middle(inside)
    assert 18 <= row <= 30
    assert 11 <= column <= 17
    assert prior_sweep._middle(np.zeros((3, 3), bool)) is None
