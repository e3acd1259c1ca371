"""Highest-density regions of draws, against those of the density they come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.bayes.intervals import density_pieces

NORMAL = jax.random.normal(jax.random.key(0), (2, 5000))


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_two_modes():
    """½ N(-3, 1) + ½ N(3, ¼): the level of 68 % is crossed at ±…, on a fine grid."""
    draws = jnp.concatenate([NORMAL[0] - 3, 0.5 * NORMAL[1] + 3])
    pieces = density_pieces(draws, 0.68)
    np.testing.assert_allclose(pieces.lower, (-3.71871, 2.3103), atol=0.1)
    np.testing.assert_allclose(pieces.upper, (-2.28114, 3.68982), atol=0.1)
    inside = [
        ((draws >= a) & (draws <= b)).mean() for a, b in zip(*pieces[:2], strict=False)
    ]
    np.testing.assert_allclose(pieces.mass, inside, rtol=1e-6)
    share = pieces.mass
    np.testing.assert_allclose(
        pieces.mass_se**2, share * (1 - share) / 10_000, rtol=1e-5
    )
    assert abs(pieces.mass.sum() - 0.68) < 0.02


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_one_mode_and_an_edge():
    pieces = density_pieces(NORMAL[0])
    np.testing.assert_allclose(
        (pieces.lower[0], pieces.upper[0]), (-1.96, 1.96), atol=0.15
    )
    edge = density_pieces(jnp.abs(NORMAL[0]))
    assert edge.lower.tolist() == [jnp.abs(NORMAL[0]).min().item()]
    under_jit = jax.jit(density_pieces)(NORMAL[0])
    np.testing.assert_allclose(under_jit.lower[0], pieces.lower[0], rtol=1e-5)
    assert jnp.isnan(under_jit.lower[1:]).all()


def test_bad_input():
    with pytest.raises(ValueError, match="give 100 draws or more"):
        density_pieces(jnp.arange(5.0))
    with pytest.raises(ValueError, match="give draws that are not all equal"):
        density_pieces(jnp.ones(200))
