"""The coin's and the theorem's figures draw the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from scipy import stats

from vijax.plot.bayes import bayes_theorem, coin_flip

P = np.linspace(0, 1, 401)
K = np.arange(15)


def belief(a, b, **more):
    posterior = stats.beta(a + 10, b + 4)
    return coin_flip.Belief(
        f"Beta({a}, {b})",
        stats.beta(a, b).pdf(P),
        posterior.pdf(P),
        posterior.interval(0.95),
        **more,
    )


@pytest.fixture
def beliefs():
    return [belief(1, 1), belief(10, 10)]


def line(axis, label):
    return next(line for line in axis.lines if line.get_label() == label)


def test_posterior_line_is_density_and_shade_ends_at_interval(beliefs):
    fig = coin_flip.prior_to_posterior(P, stats.beta(11, 5).pdf(P), beliefs)
    for axis, (a, b) in zip(fig.axes, [(11, 5), (20, 14)], strict=True):
        drawn = line(axis, "posterior")
        np.testing.assert_allclose(drawn.get_xdata(), P)
        np.testing.assert_allclose(drawn.get_ydata(), stats.beta(a, b).pdf(P))
        shaded = axis.collections[0].get_paths()[0].vertices[:, 0]
        step = P[1] - P[0]
        lower, upper = stats.beta(a, b).interval(0.95)
        assert lower <= shaded.min() < lower + step
        assert upper - step < shaded.max() <= upper


def test_prior_and_likelihood_are_drawn(beliefs):
    fig = coin_flip.prior_to_posterior(P, stats.beta(11, 5).pdf(P), beliefs)
    prior, likelihood = (
        line(fig.axes[1], name) for name in ("prior", "likelihood (unit area)")
    )
    np.testing.assert_allclose(prior.get_ydata(), stats.beta(10, 10).pdf(P))
    np.testing.assert_allclose(likelihood.get_ydata(), stats.beta(11, 5).pdf(P))


def test_histogram_of_draws_has_unit_area():
    draws = stats.beta(11, 5).rvs(1000, random_state=0)
    fig = coin_flip.prior_to_posterior(P, P, [belief(1, 1, draws=draws)])
    corners = fig.axes[0].patches[0].get_xy()
    steps, heights = np.diff(corners[:, 0]), corners[1:, 1]
    assert np.sum(np.maximum(steps, 0) * heights) == pytest.approx(1, abs=1e-9)


@pytest.fixture
def approaches(beliefs):
    answers = [
        coin_flip.Answer("frequentist", 10 / 14, (0.478, 0.951)),
        coin_flip.Answer("uniform prior", 11 / 16, (0.449, 0.882)),
    ]
    return coin_flip.frequentist_and_bayesian(
        K,
        stats.binom(14, 0.5).pmf(K),
        P,
        beliefs,
        answers,
        successes=10,
        null=0.5,
        p_value=0.0897827,
        significance=1.342094,
    )


def test_red_bars_are_the_p_value(approaches):
    test = approaches.axes[0]
    all_bars, tail = test.containers
    assert sum(bar.get_height() for bar in all_bars) == pytest.approx(1)
    assert sum(bar.get_height() for bar in tail) == pytest.approx(0.0897827, abs=1e-7)
    assert [round(bar.get_x() + 0.4) for bar in tail] == [10, 11, 12, 13, 14]
    assert "8.98 %" in test.texts[0].get_text()
    assert "1.34 σ" in test.texts[0].get_text()


def test_answers_are_drawn_from_top_to_bottom(approaches):
    table = approaches.axes[2]
    np.testing.assert_allclose(table.lines[0].get_xdata(), [0.478, 0.951])
    np.testing.assert_allclose(table.lines[0].get_ydata(), [1, 1])
    np.testing.assert_allclose(table.lines[3].get_data(), [[11 / 16], [0]])
    assert "0.45 to 0.88" in [text.get_text() for text in table.texts]


@pytest.mark.parametrize(
    ("interval", "digits"),
    [
        ((0.449, 0.882), ("0.45", "0.88")),
        ((0.49991434, 0.50011034), ("0.49991", "0.50011")),
        ((1.0, 1.0), ("1.00", "1.00")),
    ],
)
def test_digits_follow_the_width(interval, digits):
    assert coin_flip._digits(*interval) == digits


def evidence(trials, successes):
    k = np.arange(trials + 1)
    first, second = (stats.betabinom(trials, a, a).pmf(k) for a in (10, 1))
    return coin_flip.bayes_factors(
        k, {"first": first, "second": second}, first / second, successes=successes
    )


def test_observed_bayes_factor_is_marked_and_named():
    left, right = evidence(14, 10).axes
    marked = next(line for line in right.lines if "observed" in str(line.get_label()))
    np.testing.assert_allclose(marked.get_xdata(), [10])
    np.testing.assert_allclose(marked.get_ydata(), [1.209994], atol=1e-6)
    assert marked.get_label() == "observed k = 10: K = 1.21"
    heights = [bar.get_height() for bar in left.containers[1]]
    np.testing.assert_allclose(heights, np.full(15, 1 / 15))


def test_many_counts_are_one_curve_not_thousands_of_bars():
    left, _ = evidence(2000, 1000).axes
    assert not left.patches
    filled = [c for c in left.collections if isinstance(c, PolyCollection)]
    assert len(filled) == 2


def test_relative_frequencies_within_their_band():
    frequencies = np.array([[1.0, 0.5, 2 / 3, 0.5]])
    fig = bayes_theorem.relative_frequencies(
        frequencies,
        [1, 4],
        [0.5, 0.25],
        probability=0.5,
        slope=-0.5,
        slope_standard_error=0.01,
    )
    left, right = fig.axes
    np.testing.assert_allclose(left.lines[1].get_data(), [[1, 2, 3, 4], frequencies[0]])
    band = left.collections[0].get_paths()[0].vertices
    at_four = band[band[:, 0] == 4][:, 1]
    assert at_four.min() == pytest.approx(0.25)
    assert at_four.max() == pytest.approx(0.75)
    exact, simulated = right.lines
    np.testing.assert_allclose(exact.get_ydata(), [0.5, 0.25])
    assert simulated.get_label() == "simulated: slope −0.500 ± 0.010"


def test_coloured_area_is_probability_of_tail():
    prior = np.full(10, 0.1)
    likelihood = np.array([0.5] * 9 + [1.0])
    posterior = prior * likelihood / 0.55
    fig = bayes_theorem.ten_coins(
        prior,
        likelihood,
        posterior,
        posterior + 0.01,
        np.full(10, 0.01),
        repeated=[0.1, 2 / 11],
        repeated_simulated=[0.1, 0.18],
        repeated_standard_error=[0.0, 0.01],
    )
    square, bars, draws = fig.axes
    areas = [bar.get_width() * bar.get_height() for bar in square.containers[1]]
    assert sum(areas) == pytest.approx(11 / 20)
    assert square.get_title() == "P(tail) = coloured area = 0.55"
    assert bars.containers[0][-1].get_height() == pytest.approx(2 / 11)
    np.testing.assert_allclose(line(draws, "exact").get_data(), [[0, 1], [0.1, 2 / 11]])
