"""The figures of template fits draw the numbers that they are given."""

import numpy as np
import pytest

from vijax import plot

MU = np.linspace(0, 2, 5)
CLS = np.exp(-MU)
BANDS = np.exp(-MU[:, None] * np.array([3.0, 2.0, 1.5, 1.0, 0.5]))


def test_brazil_band_is_between_its_quantiles():
    axis = plot.brazil_band(MU, CLS, BANDS, level=0.9).axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    np.testing.assert_allclose(lines["observed"].get_ydata(), CLS)
    np.testing.assert_allclose(lines["expected"].get_ydata(), BANDS[:, 2])
    np.testing.assert_allclose(axis.lines[2].get_ydata(), 0.1)
    for band, low, high in zip(axis.collections, (0, 1), (4, 3), strict=True):
        corners = band.get_paths()[0].vertices
        at_end = corners[np.isclose(corners[:, 0], 2.0)][:, 1]
        np.testing.assert_allclose(at_end.min(), BANDS[-1, low])
        np.testing.assert_allclose(at_end.max(), BANDS[-1, high])
    assert axis.get_xlabel()
    assert axis.get_ylabel()


def test_pulls_and_impacts_stand_in_rows_from_the_top():
    drawn = plot.pulls_and_impacts(
        ["scale", "free"], [0.5, np.nan], [0.9, np.nan], [0.3, 0.1], [-0.2, -0.1]
    )
    left, right = drawn.axes
    ticks = dict(zip(left.get_yticks(), left.get_yticklabels(), strict=True))
    assert ticks[1].get_text() == "scale"
    x, y = left.lines[1].get_data()
    np.testing.assert_allclose((x[0], y[0]), (0.5, 1.0))
    widths = [bar.get_width() for bar in right.patches]
    np.testing.assert_allclose(widths, [0.3, 0.1, -0.2, -0.1])


def test_stacks_add_up_and_ratios_are_of_the_total():
    samples = {"background": [5.0, 6.0], "signal": [1.0, 2.0]}
    panel = plot.Yields("after", samples, [0.5, 1.0])
    drawn = plot.stacked_yields([panel, panel], [6.0, 4.0])
    top, _, below, _ = drawn.axes
    heights = [patch.get_data().values for patch in top.patches]
    np.testing.assert_allclose(heights, [[5.0, 6.0], [6.0, 8.0], [6.5, 9.0]])
    points = next(line for line in below.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_ydata(), [1.0, 0.5])
    assert [axis.get_title() for axis in drawn.axes[:2]] == ["after", "after"]


@pytest.mark.parametrize("number", [1, 40])
def test_many_parameters_are_cut_at_thirty(number):
    values = np.linspace(1.0, 0.1, number)
    names = [f"nuisance_{n}" for n in range(number)]
    drawn = plot.pulls_and_impacts(names, values, values, values, -values)
    assert len(drawn.axes[0].get_yticks()) == min(number, 30)
