"""Figures of the search and of the weights draw what the verdict was read from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import plot, vi

KEY = jax.random.key(1)


def test_convergence_draws_the_search_and_where_it_came_to(fit):
    fig = plot.convergence(fit)
    left, right = fig.axes
    taken = -np.asarray(fit.losses, float)
    np.testing.assert_allclose(left.lines[0].get_ydata(), taken[np.isfinite(taken)])
    assert left.lines[1].get_ydata()[0] == pytest.approx(float(fit.elbo))
    assert left.lines[2].get_ydata()[0] == pytest.approx(float(fit.log_evidence))
    # Its last step is in sight, in both.
    for ax in (left, right):
        low, high = ax.get_ylim()
        assert low < ax.lines[0].get_ydata()[-1] < high
    assert legend(fig) == ["search", "ELBO of the fit", "log evidence"]


def test_a_start_far_away_does_not_flatten_the_rest(fit):
    losses = -float(fit.elbo) + jnp.array([1e11, 50.0, 9.0, 3.0, 1.0, 0.1, 0.0, 0.0])
    far = fit._replace(losses=losses)
    left, right = plot.convergence(far).axes
    assert (left.get_yscale(), right.get_yscale()) == ("symlog", "linear")
    top = left.transData.transform((0.0, float(fit.elbo)))[1]
    low, high = left.bbox.y0, left.bbox.y1
    some = left.transData.transform((0.0, 100 * float(fit.elbo)))[1]
    assert low < some < top < high
    assert (top - some) / (high - low) > 0.1  # a hundredfold can be told
    assert plot.convergence(fit).axes[0].get_yscale() == "linear"


def test_evidence_is_left_out_where_the_weights_do_not_know_it(fit):
    bad = fit._replace(status=jnp.ones_like(fit.status))
    assert legend(plot.convergence(bad)) == ["search", "ELBO of the fit"]


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_tail_of_weights_is_straight_where_it_is_pareto():
    # q = N(0, 1) and p = N(0, 3): the weights' tail has the shape 1 − 1/9.
    target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
    fit = vi.fit(target, jax.random.key(0))
    wide = vi.from_log_density(lambda p: -(p["x"] ** 2) / 18, {"x": 0.0})
    (ax,) = plot.weights_tail(fit._replace(target=wide), KEY).axes
    assert "not below 0.7" in ax.get_title()
    shown = {line.get_label(): line.get_xydata() for line in ax.lines}
    weights = shown["weights of draws"]
    assert weights[:, 1].mean() == pytest.approx(1.0)
    assert (np.diff(weights[:, 1]) <= 0).all()
    limit = np.log(shown["k = 0.7"])
    slope = np.diff(limit[[0, -1]], axis=0)[0]
    assert slope[1] / slope[0] == pytest.approx(-0.7)
    (ax,) = plot.weights_tail(fit, KEY).axes
    assert "below 0.7: good" in ax.get_title()


def test_bad_input_is_named(fit):
    with pytest.raises(ValueError, match="num_samples"):
        plot.weights_tail(fit, KEY, num_samples=10)
    stack = fit._replace(status=jnp.zeros(2, int))
    for draw in (plot.convergence, lambda fit: plot.weights_tail(fit, KEY)):
        with pytest.raises(ValueError, match="stack"):
            draw(stack)
    with pytest.raises(ValueError, match="no steps"):
        plot.convergence(fit._replace(losses=jnp.full(3, jnp.inf)))
