"""ROC curves against scikit-learn, closed forms and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from vijax.metrics import roc


def draw(seed, *, levels=None, num_examples=300):
    """Return scores and a mask; few `levels` make many ties."""
    rng = np.random.default_rng(seed)
    is_anomaly = rng.random(num_examples) < 0.3
    scores = rng.normal(size=num_examples) + is_anomaly
    if levels is not None:
        scores = np.round(scores * levels) / levels
    return scores.astype(np.float32), is_anomaly


@pytest.mark.thorough
@pytest.mark.parametrize("levels", [None, 10, 1])
def test_auc_is_scikit_learns(levels):
    scores, is_anomaly = draw(0, levels=levels)
    expected = metrics.roc_auc_score(is_anomaly, scores)
    np.testing.assert_allclose(roc.auc(scores, is_anomaly), expected, rtol=2e-6)
    value, _ = roc.auc_with_error(scores, is_anomaly)
    np.testing.assert_allclose(value, expected, rtol=2e-6)


@pytest.mark.parametrize("levels", [None, 2])
def test_weighted_auc_is_scikit_learns(levels):
    scores, is_anomaly = draw(1, levels=levels)
    weights = np.random.default_rng(2).exponential(size=scores.size).astype(np.float32)
    expected = metrics.roc_auc_score(is_anomaly, scores, sample_weight=weights)
    np.testing.assert_allclose(
        roc.auc(scores, is_anomaly, weights), expected, rtol=5e-6
    )


@pytest.mark.parametrize("levels", [None, 3])
def test_curve_is_scikit_learns(levels):
    scores, is_anomaly = draw(3, levels=levels)
    fpr, tpr, threshold = metrics.roc_curve(is_anomaly, scores, drop_intermediate=False)
    ours = roc.roc_curve(scores, is_anomaly)
    # Ours repeats the point of a tie; scikit-learn's keeps it once.
    keep = np.append(True, np.diff(ours.threshold) != 0)
    np.testing.assert_allclose(ours.false_positive_rate[keep], fpr, rtol=1e-6)
    np.testing.assert_allclose(ours.true_positive_rate[keep], tpr, rtol=1e-6)
    np.testing.assert_array_equal(ours.threshold[keep], threshold)
    np.testing.assert_allclose(
        np.trapezoid(ours.true_positive_rate, ours.false_positive_rate),
        metrics.roc_auc_score(is_anomaly, scores),
        rtol=1e-5,
    )


def test_auc_of_two_gaussians_has_its_closed_form():
    # P(N(1, 1) > N(0, 1)) = Φ(1/√2), and the estimate is within 3 of its errors.
    rng = np.random.default_rng(4)
    is_anomaly = np.arange(20_000) < 5_000
    scores = (rng.normal(size=20_000) + is_anomaly).astype(np.float32)
    value, error = roc.auc_with_error(scores, is_anomaly)
    exact = stats.norm.cdf(1 / np.sqrt(2))
    assert abs(value - exact) < 3 * error
    # Hanley & McNeil's exact variance with Q1 = Q2 (equal scales), by quadrature.
    x = np.linspace(-9, 10, 20_001)
    below = np.trapezoid(stats.norm.cdf(x) ** 2 * stats.norm.pdf(x, 1), x)
    variance = (exact * (1 - exact) + (5_000 - 1 + 15_000 - 1) * (below - exact**2)) / (
        5_000 * 15_000
    )
    np.testing.assert_allclose(error, np.sqrt(variance), rtol=0.02)


def test_standard_error_is_delongs_by_double_loop():
    scores, is_anomaly = draw(5, levels=2, num_examples=80)
    anomalies, background = scores[is_anomaly], scores[~is_anomaly]
    wins = np.sign(anomalies[:, None] - background[None, :]) / 2 + 0.5
    variance = wins.mean(1).var(ddof=1) / len(anomalies)
    variance += wins.mean(0).var(ddof=1) / len(background)
    _, error = roc.auc_with_error(scores, is_anomaly)
    np.testing.assert_allclose(error, np.sqrt(variance), rtol=1e-5)


@pytest.mark.slow
def test_interval_covers_at_its_level():
    exact = stats.norm.cdf(1 / np.sqrt(2))
    keys = jax.random.split(jax.random.key(6), 2_000)
    is_anomaly = jnp.arange(80) < 30

    def covers(key):
        scores = jax.random.normal(key, (80,)) + is_anomaly
        lower, upper = roc.auc_interval(scores, is_anomaly)
        return (lower < exact) & (exact < upper)

    coverage = jax.vmap(covers)(keys).mean()
    # Binomial error of 2,000 trials at 0.95 is 0.005; the logit interval is known to
    # be a little wide at such sizes.
    assert 0.935 < coverage < 0.975


@pytest.mark.thorough
def test_perfect_and_constant_scores():
    is_anomaly = np.arange(10) >= 6
    perfect = np.arange(10, dtype=np.float32)
    for scores, value in [(perfect, 1.0), (-perfect, 0.0)]:
        assert roc.auc(scores, is_anomaly) == value
        assert roc.auc_with_error(scores, is_anomaly).standard_error == 0
        assert roc.auc_interval(scores, is_anomaly) == (value, value)
    assert roc.auc(np.zeros(10, np.float32), is_anomaly) == 0.5


def test_true_positive_rate_of_a_known_curve(float32):
    # Anomalies at 2.1..11.1, background at 0..9: a cut that passes none of the
    # background finds three of the ten, and one more for each tenth of it.
    scores = np.concatenate([np.arange(10) + 0.0, np.arange(2, 12) + 0.1])
    curve = roc.roc_curve(scores.astype(np.float32), np.arange(20) >= 10)
    rates = np.array([0.0, 0.01, 0.1, 0.25, 0.7, 1.0], np.float32)
    found = roc.true_positive_rate(curve, rates)
    np.testing.assert_allclose(found, [0.3, 0.3, 0.4, 0.5, 1.0, 1.0], rtol=1e-6)


def test_masks_of_different_size_share_one_trace():
    scores, _ = draw(9)
    masks = np.stack([np.arange(300) % 10 == i for i in range(10)])
    traces = []

    @jax.jit
    def areas(scores, masks):
        traces.append(1)
        return jax.vmap(roc.auc, in_axes=(None, 0))(scores, masks)

    values = areas(scores, masks)
    areas(scores, ~masks)
    assert len(traces) == 1
    for value, mask in zip(values, masks, strict=True):
        np.testing.assert_allclose(
            value, metrics.roc_auc_score(mask, scores), rtol=2e-6
        )


@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input_is_refused_eagerly_and_nan_when_traced():
    scores, is_anomaly = draw(10)
    with pytest.raises(ValueError, match=r"scores = nan \(at index 3\)"):
        roc.auc(np.where(np.arange(300) == 3, np.nan, scores), is_anomaly)
    with pytest.raises(ValueError, match="mark at least 1 anomalies"):
        roc.auc(scores, np.zeros(300, bool))
    with pytest.raises(ValueError, match="mark at least 2 anomalies"):
        roc.auc_with_error(scores, np.arange(300) == 0)
    with pytest.raises(ValueError, match=r"level = 95\.0"):
        roc.auc_interval(scores, is_anomaly, level=95.0)
    assert jnp.isnan(jax.jit(roc.auc)(scores, np.zeros(300, bool)))


SCORES, MASK = np.array([0.1, 0.4, 0.4, 0.8]), np.arange(4) >= 2
TEXT = np.array(["a", "b", "c", "d"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc.auc(TEXT, MASK), "scores has dtype <U1: give real"),
        (lambda: roc.roc_curve(["0.1"] * 4, MASK), "scores has dtype <U3"),
        (lambda: roc.auc_with_error(1j * SCORES, MASK), "scores has dtype complex"),
        (lambda: roc.auc([[1.0], [2.0, 3.0]], MASK), "scores has rows of unequal"),
        (lambda: roc.auc(SCORES, TEXT), "is_anomaly has dtype <U1: give a mask"),
        (lambda: roc.auc(SCORES, None), "is_anomaly has dtype object"),
        (lambda: roc.auc(SCORES, MASK, TEXT), "weights has dtype <U1"),
        (lambda: roc.auc(np.ma.array(SCORES, mask=MASK), MASK), "scores has masked"),
        (lambda: roc.auc_interval(SCORES, MASK, level="0.9"), "level has dtype <U3"),
        (lambda: roc.auc_interval(SCORES, MASK, level=SCORES), "level has shape"),
        (lambda: roc.true_positive_rate(3, 0.1), "roc is a int: give what"),
    ],
)
def test_text_and_the_like_are_named(call, message, as_users_do):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_rate_in_words(as_users_do):
    curve = roc.ROC(*jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match="false_positive_rate has dtype <U3: give"):
        roc.true_positive_rate(curve, "0.1")


def test_float64(x64):
    scores, is_anomaly = draw(11)
    value = roc.auc(scores.astype(np.float64), is_anomaly)
    assert value.dtype == jnp.float64
    np.testing.assert_allclose(
        value, metrics.roc_auc_score(is_anomaly, scores), rtol=1e-14
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    "to_scores",
    [
        lambda u: 1 - 1e-12 * (1 - u),  # 1 - p near 1
        lambda u: 1e-60 * u,  # tiny densities
        lambda u: 2**53 - 1000 + (1000 * u).round(),  # large integers
    ],
)
def test_ranks_are_taken_before_scores_are_rounded(to_scores):
    random = np.random.default_rng(0)
    u, mask = random.random(200), random.random(200) < 0.3
    u[mask] += 0.2 * (1 - u[mask])
    scores = to_scores(u)
    expected = metrics.roc_auc_score(mask, scores)
    np.testing.assert_allclose(roc.auc(scores, mask), expected, rtol=1e-6)
    np.testing.assert_allclose(
        roc.auc_with_error(scores, mask).value, expected, rtol=1e-6
    )
    curve = roc.roc_curve(scores, mask)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    np.testing.assert_allclose(area, expected, rtol=1e-5)
    assert np.isinf(curve.threshold[0])
    np.testing.assert_allclose(curve.threshold[1], scores.max(), rtol=1e-6, atol=1e-37)
