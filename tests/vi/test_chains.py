"""MCMC from a fit: right moments, R-hat that sees, draws and tables of the chains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi
from vijax.vi import chains
from vijax.vi.chains import known_modes
from vijax.vi.families import NormalMixture
from vijax.vi.methods.mode_search import Modes

SCALES = np.array([0.01, 1.0, 50.0])


def log_density(p):
    """A normal of very different scales; y is exp of a normal."""
    return -0.5 * jnp.sum((p["x"] / SCALES) ** 2) - 0.5 * (p["y"] - 1.0) ** 2


@pytest.fixture(scope="module")
def chained():
    start = {"x": jnp.zeros(3), "y": jnp.zeros(())}
    fit = vi.fit(vi.from_log_density(log_density, start), jax.random.key(0))
    return vi.nuts(fit, jax.random.key(1))


def test_moments_are_right_and_the_verdict_is_of_the_chains(chained):
    assert chained.chains.good
    assert chained.trusted
    assert chained.advice.startswith("Trust it: NUTS, 4 chains of 1000 draws")
    np.testing.assert_allclose(chained.sds[:3], SCALES, rtol=0.08)
    np.testing.assert_allclose(chained.means[3], 1.0, atol=0.1)
    assert "NUTS" in str(chained)


@pytest.mark.thorough
def test_table_and_draws_are_those_of_the_chains(chained):
    table = vi.summary(chained)
    np.testing.assert_allclose(table["x"]["sd"], chained.sds[:3], rtol=1e-6)
    assert (table["x"]["r_hat"] < 1.01).all()
    assert table.correctable
    assert "effective_sample_size" in str(table)
    # The stated errors are of the size of the misses.
    misses = (table["x"]["sd"] / SCALES - 1) / (table["x"]["sd_se"] / SCALES)
    assert np.all(np.abs(misses) < 4)
    draws = vi.sample(chained, jax.random.key(2), 500)
    known = np.reshape(chained.chains.positions, (-1, 4))
    assert draws["x"].shape == (500, 3)
    assert np.isin(np.asarray(draws["y"]), known[:, 3]).all()
    assert len(np.unique(np.asarray(draws["y"]))) > 490  # without replacement


@pytest.mark.slow
def test_chains_that_stay_in_their_modes_are_not_trusted(key):
    def two(u):
        return jax.nn.logsumexp(-0.5 * (u - jnp.array([-20.0, 20.0])) ** 2)

    target = vi.from_log_density(two, jnp.array(19.0))
    fit = vi.fit(target, key)
    assert fit.modes is not None
    stuck = vi.nuts(fit, key)
    assert not stuck.trusted
    assert np.max(stuck.chains.r_hat) > 1.2
    assert "Do not trust it" in stuck.advice


def test_bad_input_is_named(key, chained):
    with pytest.raises(ValueError, match="num_chains = 1"):
        vi.nuts(chained, key, num_chains=1)
    with pytest.raises(ValueError, match=r"max_samples = 100 .*give at least 1000"):
        vi.nuts(chained, key, max_samples=100)
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda key: vi.nuts(chained, key))(key)


def test_one_divergence_is_one_too_many(chained):
    met = chained._replace(chains=chained.chains._replace(num_divergences=1))
    assert not met.trusted
    assert "divergences say that a part is not reached" in met.advice


def test_components_of_a_mixture_are_modes_that_chains_must_visit(chained):
    # Chains of the first component alone, of a q with two: as after an unlucky start.
    loc = np.array(chained.q.loc)
    far = loc + np.array([0.0, 0.0, 0.0, 100.0])
    roots = np.stack([np.diag(np.append(SCALES, 1.0))] * 2)
    half = np.log([0.5, 0.5])
    q = NormalMixture(*(jnp.asarray(x) for x in (half, np.stack([loc, far]), roots)))
    of_mixture = chained._replace(q=q)
    modes = known_modes(of_mixture)
    np.testing.assert_allclose(modes.mass, 0.5, rtol=1e-6)
    z = np.reshape(np.asarray(chained.chains.positions), (-1, 4))
    # The far one has none of the draws that its mass asks for, the near one twice.
    assert abs(chains._visits(of_mixture, z) - 1) > 0.8
    assert chains._visits(chained, z) == 1.0


def test_mass_around_q_asks_for_no_visits(chained):
    """Of 1 % of the mass: nearly all draws are within its inner half, and are q's."""
    loc = np.array(chained.q.loc)[None]
    wide = 30 * np.diag(np.append(SCALES, 1.0))[None]
    z = np.reshape(np.asarray(chained.chains.positions), (-1, 4))
    for hill, visits in ((False, 1.0), (True, 0.0)):
        modes = Modes(loc + 1e4, wide, np.array([0.01]), np.array([hill]))
        assert chains._visits(chained._replace(modes=modes), z) == visits


def with_long_tail(chained):
    """Let the second unknown's squares have a tail of shape 0.9."""
    tails = np.array([0.0, 0.9, 0.0, 0.0], np.float32)
    return chained._replace(chains=chained.chains._replace(tails=tails))


def test_an_sd_that_a_long_tail_makes_is_not_known(chained):
    tailed = with_long_tail(chained)
    assert tailed.chains.good
    assert not tailed.trusted
    assert tailed.has_good_draws
    assert "the sd of x[1] is not known" in tailed.advice
    table = vi.summary(tailed)
    assert table.correctable
    assert not table.trusted
    assert np.isnan(table["x"]["sd"]).tolist() == [False, True, False]
    assert np.isnan(table["x"]["corrected_sd"]).tolist() == [False, True, False]
    assert np.isfinite(table["x"]["mean"]).all()
    assert "not known" in str(table)
    assert not chains._is_enough(chained._replace(chains=with_error(chained, 0.06)))
    assert chains._is_enough(tailed)  # more draws would not know it either


def with_error(chained, share):
    """Let the sd of the first unknown have a standard error of a share of itself."""
    error = np.array(chained.chains.sd_se)
    error[0] = share * chained.sds[0]
    return chained.chains._replace(sd_se=error)


@pytest.mark.parametrize(("share", "known"), [(0.06, False), (0.04, True)])
def test_an_sd_is_known_by_its_error_and_not_by_effective_samples(
    chained, share, known
):
    found = chained._replace(chains=with_error(chained, share))
    assert found.chains.good
    assert found.trusted == known
    assert np.isnan(vi.summary(found)["x"]["sd"]).tolist() == [not known, False, False]


def test_an_entry_that_is_always_the_same_is_known(chained):
    error, size = np.array(chained.chains.sd_se), np.array(chained.chains.mean_ess)
    error[0], size[0] = 0.0, np.inf
    still = {"mean_se": error, "mean_ess": size, "sd_ess": size}
    assert chained.chains._replace(sd_se=error, **still).known_sds[0]


def test_what_chains_say_of_tails_is_not_said_of_q(chained):
    alone = with_long_tail(chained)._replace(chains=None)
    assert alone.trusted == chained._replace(chains=None).trusted
    assert "long" not in alone.advice


@pytest.mark.slow
def test_one_percent_of_the_mass_thirty_sds_wide_is_no_known_sd():
    # Its sd is 3.16; chains of 9000 draws and 1,700 effective samples said 2.5.
    def log_density(x):
        wide = -0.5 * (x / 30) ** 2 + jnp.log(0.01 / 30)
        return jnp.logaddexp(-0.5 * x**2 + jnp.log(0.99), wide)

    fit = vi.fit(vi.from_log_density(log_density, 0.0), jax.random.key(0))
    chained = vi.nuts(fit, jax.random.key(1))
    assert not chained.trusted
    assert np.isnan(next(iter(vi.summary(chained).values()))["sd"]).all()
