"""A coverage is a probability: also where rounding takes the sum of all counts up."""

import jax.numpy as jnp
import numpy as np
import pytest

from vijax.bayes import frequentist

TRUTHS = np.linspace(0.02, 0.98, 49)
MEANS = np.linspace(0.02, 30, 2000)


def everything(counts, *_):
    return jnp.zeros_like(counts), jnp.full_like(counts, jnp.inf)


def of_sidebands(counts, background, _):
    zero = counts + 0 * background.counts
    return zero * 0, zero + jnp.inf


@pytest.mark.parametrize(
    "coverage",
    [
        lambda: frequentist.poisson_coverage(MEANS, 90, interval=everything),
        lambda: frequentist.binomial_coverage(TRUTHS, 9, interval=everything),
        lambda: frequentist.signal_coverage(MEANS, 1.0, interval=everything),
        lambda: frequentist.uncertain_signal_coverage(
            9 * TRUTHS, frequentist.Sideband(2.0, 1.0), interval=of_sidebands
        ),
    ],
)
def test_what_covers_all_has_no_more_than_one(coverage):
    value = np.asarray(coverage())
    np.testing.assert_allclose(value, 1, rtol=1e-5)
    assert value.max() <= 1
