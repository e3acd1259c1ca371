"""Improper priors: what NumPyro refuses to build, and what is refused here too."""

import jax
import numpy as np
import numpyro
import pytest

from vijax.bayes import improper

FAMILIES = {
    "beta": (improper.beta, ("concentration1", "concentration0")),
    "gamma": (improper.gamma, ("concentration", "rate")),
    "inverse_gamma": (improper.inverse_gamma, ("concentration", "rate")),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_may_be_zero_and_nothing_below(name, nan_is_an_answer):
    family, parameters = FAMILIES[name]
    with numpyro.validation_enabled():
        prior = family(0.0, [0.0, 2.0])
        assert prior.batch_shape == (2,)
        for parameter, expected in zip(parameters, (0.0, [0.0, 2.0]), strict=True):
            np.testing.assert_array_equal(
                *np.broadcast_arrays(getattr(prior, parameter), expected)
            )
        for bad in ((-1.0, 1.0), (1.0, -1.0)):
            with pytest.raises(ValueError, match=r"= -1.0 is not valid"):
                family(*bad)
        of_trace = jax.jit(lambda a: getattr(family(a, 1.0), parameters[0]))
        assert np.isnan(of_trace(-1.0))


def test_dirichlet_and_normal():
    with numpyro.validation_enabled():
        np.testing.assert_array_equal(
            improper.dirichlet([0.0, 1.0]).concentration, [0.0, 1.0]
        )
        flat = improper.normal([1.0, 2.0])
        np.testing.assert_array_equal(flat.scale, np.inf)
        np.testing.assert_array_equal(flat.loc, [1.0, 2.0])
        with pytest.raises(ValueError, match="concentration = -1"):
            improper.dirichlet([-1.0, 1.0])
        with pytest.raises(ValueError, match="loc = nan"):
            improper.normal(np.nan)
