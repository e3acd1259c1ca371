"""Figures of a fit show its draws, what stands beside them, and whether to trust it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import plot, vi
from vijax.plot.vi.fit_entries import Drawn, entries
from vijax.plot.vi.fits import varying

KEY = jax.random.key(1)


def histograms(ax):
    return [patch.get_data() for patch in ax.patches if hasattr(patch, "get_data")]


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


@pytest.mark.thorough
def test_marginals_are_densities_of_the_draws_beside_reference_and_truth(fit):
    drawn = {"mean": np.random.default_rng(0).normal(2.7, 1.3, 5000)}
    fig = plot.marginals(
        fit, KEY, reference=drawn, truth={"mean": 2.5}, labels={"effect": "effect / cm"}
    )
    labels = [ax.get_xlabel() for ax in fig.axes]
    assert labels == ["mean", "effect[0] / cm", "effect[1] / cm", "effect[2] / cm"]
    assert legend(fig) == ["q", "reference", "truth"]
    own, other = histograms(fig.axes[0])
    middle = (own.edges[1:] + own.edges[:-1]) / 2
    width = np.diff(own.edges)
    # Both hold the mass inside of 99.2 % of the draws, and have their means.
    for values, mean in ((own.values, float(fit.means[0])), (other.values, 2.7)):
        assert np.sum(values * width) == pytest.approx(1.0, abs=0.01)
        assert np.sum(values * width * middle) == pytest.approx(mean, abs=0.1)
    assert fig.axes[0].lines[0].get_xdata()[0] == 2.5
    assert len(histograms(fig.axes[1])) == 1  # the reference has no such site


def test_the_same_key_gives_the_same_figure(fit):
    first, again = (
        histograms(plot.marginals(fit, KEY, sites="mean").axes[0])[0].values
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.thorough
def test_figures_say_what_is_not_to_be_trusted(fit):
    bad = fit._replace(status=jnp.ones_like(fit.status))
    assert not bad.trusted
    expected = "q (not to be trusted)"
    assert legend(plot.marginals(bad, KEY)) == [expected]
    assert legend(plot.pairs(bad, KEY, sites=("mean", "effect"))) == [expected]
    assert legend(plot.forest(bad, KEY, "level"))[0].startswith(expected)


@pytest.mark.thorough
def test_pairs_draw_each_two_once_with_their_correlation(fit):
    fig = plot.pairs(fit, KEY, sites=("mean", "level"), truth={"mean": 2.5})
    panels = np.reshape(fig.axes, (4, 4))
    assert [ax.get_xlabel() for ax in panels[-1]] == [
        "mean",
        "level[0]",
        "level[1]",
        "level[2]",
    ]
    assert panels[2, 0].get_ylabel() == "level[1]"
    assert [ax.axison for ax in panels[0]] == [True, False, False, False]
    points, truth = panels[1, 0].lines
    x, y = points.get_data()
    draws = vi.sample(fit, jax.random.key(2), 4000)
    expected = np.corrcoef(draws["mean"], draws["level"][:, 0])[0, 1]
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(expected, abs=0.1)
    assert truth.get_xdata()[0] == 2.5
    # Half of the draws lie inside of the inner contour, nine in ten of the outer one.
    contours = panels[1, 0].collections[0].get_paths()
    inside = [path.contains_points(np.stack([x, y], 1)).mean() for path in contours]
    np.testing.assert_allclose(inside, [0.9, 0.5], atol=0.06)


def test_forest_has_a_line_for_each_group_the_first_on_top(fit):
    fig = plot.forest(
        fit,
        KEY,
        "level",
        names=("a", "b", "c"),
        points={"data": [1.0, 2.0, 6.0]},
        label="level / cm",
    )
    (ax,) = fig.axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert dict(zip(names, ax.get_yticks(), strict=True)) == {"a": 2, "b": 1, "c": 0}
    assert ax.get_xlabel() == "level / cm"
    draws = np.asarray(vi.sample(fit, jax.random.key(2), 20_000)["level"])
    medians, data = ax.lines
    np.testing.assert_allclose(medians.get_xdata(), np.median(draws, 0), atol=0.08)
    np.testing.assert_array_equal(data.get_xydata(), [[1, 2], [2, 1], [6, 0]])
    for lines, mass in zip(ax.collections, (0.95, 0.5), strict=True):
        ends = [segment[:, 0] for segment in lines.get_segments()]
        edges = np.quantile(draws, ((1 - mass) / 2, (1 + mass) / 2), axis=0).T
        np.testing.assert_allclose(ends, edges, atol=0.15)


@pytest.mark.thorough
def test_many_groups_go_without_names():
    target = vi.from_log_density(
        lambda p: -0.5 * jnp.sum(p["x"] ** 2), {"x": jnp.zeros(80)}
    )
    fit = vi.fit(target, jax.random.key(0))
    (ax,) = plot.forest(fit, KEY, "x").axes
    assert ax.get_ylabel() == "80 groups"
    assert len(ax.get_yticks()) == 0
    with pytest.raises(ValueError, match="sites = 80 is not valid"):
        plot.marginals(fit, KEY)
    with pytest.raises(ValueError, match="sites = 80 is not valid"):
        plot.pairs(fit, KEY)


def test_entries_that_never_vary_are_left_out():
    draws = {"root": np.stack([np.ones(200), np.linspace(-1, 1, 200)], axis=1)}
    drawn = Drawn(draws, "q")
    found = entries(drawn, ["root"], labels={}, reference=None, truth={})
    assert [entry.label for entry in varying(found)] == ["root[1]"]
    assert varying(found[:1]) == found[:1]


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda fit: plot.marginals(fit, KEY, sites="slope"), "no site 'slope'"),
        (lambda fit: plot.marginals(fit, KEY, truth={"a": 1.0}), "no site 'a'"),
        (lambda fit: plot.marginals(fit, KEY, labels={"a": "b"}), "no site 'a'"),
        (lambda fit: plot.marginals(fit, KEY, labels={"effect": ["a"]}), "labels"),
        (lambda fit: plot.marginals(fit, KEY, truth={"effect": 1.0}), "truth .*shape"),
        (lambda fit: plot.marginals(fit, KEY, num_samples=10), "num_samples"),
        (lambda fit: plot.marginals(fit, KEY, draws="nuts"), "draws = 'nuts'"),
        (
            lambda fit: plot.marginals(fit, KEY, reference={"effect": np.zeros(9)}),
            "reference is not valid",
        ),
        (lambda fit: plot.pairs(fit, KEY, sites="mean"), "sites = 1 is not valid"),
        (lambda fit: plot.forest(fit, KEY, "mean"), "site"),
        (lambda fit: plot.forest(fit, KEY, "level", names=("a",)), "names"),
        (lambda fit: plot.forest(fit, KEY, "level", points={"a": [1.0]}), "points"),
    ],
)
def test_bad_input_is_named(fit, draw, says):
    with pytest.raises(ValueError, match=says):
        draw(fit)
