"""The figures of anomaly detection draw the areas and curves that they are given."""

import numpy as np
import pytest

from vijax.plot.vae import anomaly_detection


def test_published_areas_stand_in_every_panel():
    panels = {"a": {"score": ([0.5, 0.7], [0.1, 0.1])}}
    fig = anomaly_detection.auc_by_class(panels, names=["0", "1"], published=[0.9, 0.8])
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    np.testing.assert_allclose(lines["published, mean 0.850"].get_ydata(), [0.9, 0.8])


def test_roc_curves_are_drawn_by_background():
    x, y = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 1.0])
    panels = {"a": {"score": (x, y, 0.7)}, "b": {"score": (x, x, 0.5)}}
    fig = anomaly_detection.roc_by_background(panels)
    for ax, (title, scores) in zip(fig.axes, panels.items(), strict=True):
        x, y, area = scores["score"]
        np.testing.assert_allclose(ax.lines[0].get_data(), [x, y])
        assert ax.lines[0].get_label() == f"score   {area:.2f}"
        assert ax.get_title() == title


def test_more_roc_curves_than_colours_are_refused():
    many = {f"score {i}": ([0.0, 1.0], [0.0, 1.0], 0.5) for i in range(8)}
    with pytest.raises(ValueError, match="'a' has 8 scores, and 7 colours"):
        anomaly_detection.roc_by_background({"a": many})


def test_injected_signal_is_drawn_in_percent_with_its_yardstick():
    x, y = np.array([0.01, 0.1]), np.array([2.0, 1.5])
    fig = anomaly_detection.signal_injection(
        [0.0, 0.01],
        {"score": ([0.9, 0.8], [0.01, 0.02])},
        {"mass": (x, y), "score": (x, y / 2)},
        yardstick=("mass", 0.95),
    )
    left, right = fig.axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["0 %", "1 %"]
    container = left.containers[0]
    np.testing.assert_allclose(container.lines[0].get_ydata(orig=False), [0.9, 0.8])
    yardstick = next(line for line in left.lines if line.get_label() == "mass")
    np.testing.assert_allclose(yardstick.get_ydata(), 0.95)
    np.testing.assert_allclose(right.lines[1].get_data(), [x, y / 2])
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
