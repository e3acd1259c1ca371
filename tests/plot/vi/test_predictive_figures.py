"""Figures of predictions count what lies inside, and say what is odd."""

import numpy as np
import pytest

from vijax import plot
from vijax.vi import CheckedStatistic, PredictiveCheck, SiteDraws

RNG = np.random.default_rng(0)
DRAWS = RNG.normal(np.arange(20.0), 1.0, (2000, 20))
SEEN = np.arange(20.0)


def predicted(*, trusted=True):
    found = SiteDraws({"y": DRAWS})
    found.source, found.trusted = "importance", trusted
    return found


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_intervals_are_those_of_the_draws_and_rows_outside_are_marked():
    seen = SEEN.copy()
    seen[3] += 5.0
    fig = plot.predictive_intervals(predicted(), "y", seen, label="y / m")
    left, right = fig.axes
    assert (
        left.get_title() == "19 of 20 rows in their 95 % interval, 19 in that of 50 %"
    )
    assert left.get_ylabel() == "y / m"
    outer = left.collections[0].get_segments()
    edges = np.quantile(DRAWS, (0.025, 0.975), axis=0).T
    np.testing.assert_allclose([segment[:, 1] for segment in outer], edges)
    np.testing.assert_allclose(left.lines[1].get_xydata(), [[4.0, 8.0]])
    _, ranks = right.patches
    assert sum(ranks.get_data().values) == 20
    assert legend(fig)[:2] == [
        "q, corrected: 95 % interval",
        "q, corrected: 50 % interval",
    ]
    assert legend(fig)[-1] == "observed, outside 95 %"


def test_rows_are_drawn_against_x_where_it_is_given():
    x = np.linspace(5.0, 0.0, 20)
    fig = plot.predictive_intervals(predicted(), "y", SEEN, x=x, x_label="time / s")
    left = fig.axes[0]
    np.testing.assert_allclose(left.lines[0].get_xdata(), x)
    assert left.get_xlabel() == "time / s"


def test_draws_that_are_not_the_posterior_are_named():
    fig = plot.predictive_intervals(predicted(trusted=False), "y", SEEN)
    assert legend(fig)[0] == "q, corrected (not to be trusted): 95 % interval"


@pytest.mark.parametrize("trusted", [True, False])
def test_the_legend_is_within_the_page(trusted):
    seen = SEEN.copy()
    seen[3] += 5.0  # the longest legend has rows outside
    fig = plot.predictive_intervals(predicted(trusted=trusted), "y", seen)
    fig.canvas.draw()
    box = fig.legends[0].get_window_extent()
    assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1


def test_ranks_of_right_predictions_stay_in_their_band():
    draws = RNG.normal(size=(2000, 200))
    fig = plot.predictive_intervals({"y": draws}, "y", RNG.normal(size=200))
    band, ranks = fig.axes[1].patches
    heights = ranks.get_data().values
    assert len(heights) == 10
    low, high = band.get_y(), band.get_y() + band.get_height()
    assert (low, high) == (12, 29)  # 95 % of Binomial(200, 1/10)
    assert sum(low <= h <= high for h in heights) >= 9


def test_checks_draw_the_observed_over_the_replicated():
    table = PredictiveCheck()
    replicated = RNG.normal(size=500)
    table["y: mean"] = CheckedStatistic(0.1, replicated, 0.45, 0.02)
    table["y: max"] = CheckedStatistic(9.0, replicated, 0.0, 0.002)
    table.source, table.trusted = "q", False
    fig = plot.predictive_checks(table, labels={"y: max": "largest y / m"})
    usual, odd = fig.axes
    assert odd.get_xlabel() == "largest y / m"
    assert [ax.lines[0].get_xdata()[0] for ax in (usual, odd)] == [0.1, 9.0]
    assert sum(bar.get_height() for bar in usual.containers[0]) == 500
    assert odd.lines[0].get_color() != usual.lines[0].get_color()
    assert legend(fig)[0] == "replicated by q (not to be trusted)"
    assert [ax.get_title() for ax in fig.axes] == ["p = 0.450", "p < 0.002"]


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: plot.predictive_intervals(predicted(), "z", SEEN), "site = 'z'"),
        (lambda: plot.predictive_intervals(predicted(), "y", SEEN[:3]), "observed"),
        (
            lambda: plot.predictive_intervals(predicted(), "y", SEEN, x=SEEN[:3]),
            "x has shape",
        ),
        (lambda: plot.predictive_checks(PredictiveCheck()), "table"),
    ],
)
def test_bad_input_is_named(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
