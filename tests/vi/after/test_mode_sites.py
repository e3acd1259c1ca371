"""Other modes by the names of the unknowns, in the units that the model has."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.methods.mode_search import Modes


@pytest.fixture(scope="module")
def fit():
    def model():
        numpyro.sample("rate", dist.Exponential(1.0))
        numpyro.sample("slope", dist.Normal(0.0, 1.0).expand([2]).to_event(1))

    return vi.fit(vi.from_numpyro(model), jax.random.key(0), search_modes=False)


def test_a_positive_unknown_is_no_logarithm(fit):
    places = [site.name for site in fit.target.static.sites]
    assert places == ["rate", "slope"]
    loc = jnp.array([[jnp.log(3.0), 1.0, 2.0], [0.0, -1.0, 0.0]])
    root = jnp.broadcast_to(jnp.eye(3), (2, 3, 3))
    known = Modes(loc, root, np.array([0.25, 0.01]), np.array([True, False]))
    found = vi.modes_by_site(fit._replace(modes=known))
    np.testing.assert_allclose(found["rate"], [3.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found["slope"], [[1.0, 2.0], [-1.0, 0.0]])
    lines = str(found).splitlines()
    assert lines[0].split() == ["mode,", "25", "%", "long", "tail,", "1", "%"]
    assert lines[1].split() == ["rate", "3", "1"]
    assert lines[3].split() == ["slope[1]", "2", "0"]


def test_a_fit_without_other_modes_says_so(fit):
    assert vi.modes_by_site(fit) == {}
    assert str(vi.modes_by_site(fit)) == "No mode was found beside q's own."


def test_it_is_for_one_fit(fit):
    with pytest.raises(ValueError, match="for one fit"):
        jax.jit(vi.modes_by_site)(fit)
