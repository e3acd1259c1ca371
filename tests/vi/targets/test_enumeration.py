"""Discrete unknowns: summed out exactly, drawn exactly, refused where that fails."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.contrib.control_flow import scan
from numpyro.infer.util import potential_energy

from vijax import vi
from vijax.vi.targets.models.enumeration import draw_discrete

pytest.importorskip("funsor")

Y = np.array([-1.8, 0.4, 2.5, 1.9, -2.2])


def mixture(y):
    m = numpyro.sample("m", dist.Normal(jnp.array([-2.0, 2.0]), 0.5).to_event(1))
    with numpyro.plate("n", len(y)):
        k = numpyro.sample("k", dist.Categorical(jnp.array([0.3, 0.7])))
        numpyro.sample("y", dist.Normal(m[k], 1.0), obs=y)


def hidden_markov(y):
    """A chain of three states; how long they stay and the noise are unknown."""
    stay = numpyro.sample("stay", dist.Beta(2.0, 1.0))
    s = numpyro.sample("s", dist.HalfNormal(1.0))
    means = jnp.array([-2.0, 0.0, 2.0])
    trans = stay * jnp.eye(3) + (1 - stay) * jnp.array(
        [[0, 1, 0], [0.3, 0, 0.7], [1, 0, 0]]
    )

    def step(z, y_t):
        z = numpyro.sample("z", dist.Categorical(trans[z]))
        numpyro.sample("y", dist.Normal(means[z], s), obs=y_t)
        return z, None

    scan(step, 0, y)


def two_chains(y):
    """Series in a plate, of two lengths: what is beyond the shorter one is masked."""
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    lengths = jnp.array([4, 2])
    trans = jnp.array([[1 - p, p], [p, 1 - p]])

    def step(carry, y_t):
        z, t = carry
        with numpyro.plate("series", 2), handlers.mask(mask=t < lengths):
            z = numpyro.sample("z", dist.Categorical(trans[z]))
            numpyro.sample("y", dist.Normal(2.0 * z, 1.0), obs=y_t)
        return (z, t + 1), None

    scan(step, (jnp.zeros(2, int), 0), y)


def capture_recapture(seen):
    """Cormack, Jolly and Seber: an animal that is alive is seen, or not."""
    survive = numpyro.sample("survive", dist.Uniform(0.0, 1.0))
    catch = numpyro.sample("catch", dist.Uniform(0.0, 1.0))

    def step(carry, seen_t):
        first, alive = carry
        with numpyro.plate("animals", seen.shape[1]):
            prior = jnp.where(first, survive * alive, alive)
            alive = numpyro.sample("alive", dist.Bernoulli(prior))
            chance = jnp.where(first, catch * alive, 1e-6)
            numpyro.sample("seen", dist.Bernoulli(chance), obs=seen_t)
        return (first | (seen_t > 0), alive), None

    scan(step, (jnp.zeros(seen.shape[1], bool), jnp.ones(seen.shape[1], int)), seen)


def annotation(votes):
    """Dawid and Skene: items of unknown class, annotators of unknown skill."""
    items, annotators = votes.shape
    share = numpyro.sample("share", dist.Dirichlet(jnp.ones(2)))
    with numpyro.plate("annotators", annotators, dim=-1):
        skill = numpyro.sample(
            "skill", dist.Dirichlet(2.0 * jnp.eye(2) + 1).to_event(1)
        )
    with numpyro.plate("items", items, dim=-2):
        c = numpyro.sample("c", dist.Categorical(share))
        with numpyro.plate("votes", annotators, dim=-1):
            chance = skill[jnp.arange(annotators), c]
            numpyro.sample("vote", dist.Categorical(chance), obs=votes)


def change_point(y):
    rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0).expand([2]).to_event(1))
    tau = numpyro.sample("tau", dist.DiscreteUniform(0, 4))
    numpyro.deterministic("after", 4.0 - tau)
    late = jnp.arange(5) > tau[..., None]
    mean = jnp.where(late, rate[..., 1, None], rate[..., 0, None])
    likelihood = dist.Normal(mean, 1.0).to_event(1)
    numpyro.sample("y", likelihood, obs=y)
    numpyro.deterministic("total", rate.sum())


def global_and_local(y):
    """A discrete switch of all data above one of each datum."""
    scale = numpyro.sample("scale", dist.LogNormal(0.0, 0.5))
    g = numpyro.sample("g", dist.Bernoulli(0.4))
    with numpyro.plate("n", len(y)):
        k = numpyro.sample("k", dist.Categorical(jnp.array([0.2, 0.5, 0.3])))
        numpyro.sample("y", dist.Normal(k - 1.0 + 2.0 * g, scale), obs=y)


def switching_walk(y):
    """A continuous chain whose steps a discrete chain makes wide or narrow."""
    size = numpyro.sample("size", dist.LogNormal(0.0, 0.5))

    def step(carry, y_t):
        z, x = carry
        z = numpyro.sample("z", dist.Bernoulli(0.2 + 0.6 * z))
        x = numpyro.sample("x", dist.Normal(0.5 * x, size * (0.5 + z)))
        numpyro.sample("y", dist.Normal(x, 0.5), obs=y_t)
        return (z, x), None

    scan(step, (jnp.array(0), jnp.array(0.0)), y)


SEEN = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 0]])
VOTES = np.array([[0, 0, 1], [1, 1, 1], [0, 1, 0]])
CASES = [
    pytest.param(mixture, Y, {"k": (2, (5,))}, id="mixture"),
    pytest.param(
        hidden_markov,
        Y,
        {"z": (3, (5,))},
        id="hidden_markov",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        annotation, VOTES, {"c": (2, (3, 1))}, id="annotation", marks=pytest.mark.slow
    ),
    pytest.param(
        change_point, Y, {"tau": (5, ())}, id="change_point", marks=pytest.mark.slow
    ),
    pytest.param(
        global_and_local,
        Y[:3],
        {"g": (2, ()), "k": (3, (3,))},
        id="global_and_local",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        capture_recapture,
        SEEN,
        {"alive": (2, (4, 3))},
        id="capture_recapture",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        switching_walk,
        Y[:4],
        {"z": (2, (4,))},
        id="switching_walk",
        marks=pytest.mark.slow,
    ),
]


def assignments(discrete):
    """Return all values of all discrete sites by name, one assignment a row."""
    sizes = [
        count for count, shape in discrete.values() for _ in range(int(np.prod(shape)))
    ]
    rows = np.array(list(itertools.product(*map(range, sizes))))
    ends = np.cumsum([int(np.prod(shape)) for _, shape in discrete.values()])
    parts = np.split(rows, ends[:-1], axis=1)
    return {
        name: jnp.asarray(part.reshape(-1, *shape))
        for part, (name, (_, shape)) in zip(parts, discrete.items(), strict=True)
    }


@pytest.mark.thorough
@pytest.mark.parametrize(("model", "y", "discrete"), CASES)
def test_sum_and_draws_are_those_of_all_assignments(x64, model, y, discrete):
    target = vi.from_numpyro(model, y)
    position = 0.5 * jax.random.normal(jax.random.key(1), (target.dim,))
    every = assignments(discrete)
    y = jnp.asarray(y)

    def joints(position):
        """Return NumPyro's own density of θ and each assignment."""
        params = target.unravel(position)
        return jax.lax.map(
            lambda k: (
                -potential_energy(handlers.condition(model, data=k), (y,), {}, params)
            ),
            every,
        )

    def look(position):
        by_hand = jax.value_and_grad(lambda at: jax.nn.logsumexp(joints(at)))
        ours = jax.value_and_grad(target.log_density)(position)
        return ours, by_hand(position), jax.nn.softmax(joints(position))

    (value, grad), (expected, expected_grad), probs = jax.jit(look)(position)
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-7, atol=1e-9)

    num_draws = 3000
    values = {
        name: jnp.broadcast_to(value, (num_draws, *value.shape))
        for name, value in target.constrain(position).items()
    }
    drawn = draw_discrete(target, jax.random.key(2), values)
    flat = [np.reshape(drawn[name], (num_draws, -1)) for name in discrete]
    rows = np.concatenate([np.reshape(x, (len(probs), -1)) for x in every.values()], 1)
    number = {tuple(row): i for i, row in enumerate(rows)}
    found = [number[tuple(row)] for row in np.concatenate(flat, axis=1)]
    counts = np.bincount(found, minlength=len(probs))
    error = np.abs(counts - num_draws * probs)
    assert (error <= 4.5 * np.sqrt(num_draws * probs) + 4.5).all()
    # The whole joint distribution: chi squared over what is expected often enough.
    often = num_draws * probs > 5
    chi2 = (error**2 / (num_draws * probs))[often].sum()
    assert chi2 < often.sum() + 4 * np.sqrt(2 * often.sum())


def counted(y):
    """Every datum sees how many are in the second class."""
    m = numpyro.sample("m", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", len(y)):
        k = numpyro.sample("k", dist.Bernoulli(0.4))
    total = k.sum()
    with numpyro.plate("data", len(y)):
        numpyro.sample("y", dist.Normal(m + total, 1.0), obs=y)


def last_state(y):
    """A datum after the scan hangs on its last state."""
    m = numpyro.sample("m", dist.Normal(0.0, 1.0))

    def step(z, y_t):
        z = numpyro.sample("z", dist.Bernoulli(0.2 + 0.6 * z))
        return z, numpyro.sample("y", dist.Normal(m * z, 1.0), obs=y_t)

    z, _ = scan(step, 0, y)
    numpyro.sample("end", dist.Normal(3.0 * z, 1.0), obs=jnp.array(2.0))


def support_hangs_on_it(y):
    k = numpyro.sample("k", dist.Bernoulli(0.4))
    x = numpyro.sample("x", dist.Uniform(0.0, 1.0 + k))
    numpyro.sample("y", dist.Normal(x, 1.0), obs=y[0])


def many_at_once(y):
    ks = [numpyro.sample(f"k{i}", dist.DiscreteUniform(0, 199)) for i in range(4)]
    x = numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(x + sum(ks), 1.0), obs=y[0])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (counted, "enumeration gives .* where the model's own joint"),
        (last_state, "enumeration gives .* where the model's own joint|traced"),
        (support_hangs_on_it, "support of its site 'x' depends on a discrete"),
        (many_at_once, "needs .* numbers at once"),
    ],
)
def test_sums_that_come_out_wrong_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        vi.from_numpyro(model, Y)


def occupied(seen):
    """Where none lives, none is seen: most draws of the prior are impossible."""
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("sites", len(seen)):
        lives = numpyro.sample("lives", dist.Bernoulli(0.4))
        numpyro.sample("seen", dist.Binomial(5, lives * p), obs=seen)


@pytest.mark.thorough
def test_what_the_data_exclude_does_not_hide_the_sum():
    """Zeros have two reasons, other counts one; funsor underflows on none of them."""
    seen = np.array([0, 2, 0, 3, 1])
    target = vi.from_numpyro(occupied, seen)
    for u in (-1.0, 0.7):
        p = 1 / (1 + np.exp(-u))
        chance = 0.4 * np.exp(dist.Binomial(5, p).log_prob(seen)) + 0.6 * (seen == 0)
        prior = dist.Beta(2.0, 2.0).log_prob(p) + np.log(p * (1 - p))
        found = target.log_density(jnp.array([u]))
        np.testing.assert_allclose(found, np.log(chance).sum() + prior, rtol=1e-5)


@pytest.mark.thorough
def test_sites_that_follow_a_discrete_one_are_drawn_with_it():
    target = vi.from_numpyro(change_point, Y)
    values = jax.vmap(target.constrain)(jnp.zeros((20, target.dim)))
    assert set(values) == {"rate", "total"}
    drawn = draw_discrete(target, jax.random.key(0), values)
    assert set(drawn) == {"tau", "after"}
    np.testing.assert_array_equal(drawn["after"], 4.0 - drawn["tau"])
    keys = jnp.stack([jax.random.key(0), jax.random.key(5)])
    again = jax.jit(jax.vmap(lambda key: draw_discrete(target, key, values)))(keys)
    np.testing.assert_array_equal(again["tau"][0], drawn["tau"])
    assert (again["tau"][1] != drawn["tau"]).any()


@pytest.mark.slow
def test_masked_steps_of_a_chain_say_nothing():
    """Two series, one that ends early, have the density of each by itself."""
    both = np.stack([Y, np.r_[Y[:2], 7.0, 8.0, 9.0]], -1)
    target = vi.from_numpyro(two_chains, both)
    position = jnp.array([0.3])
    p = target.constrain(position)["p"]
    trans = np.array([[1 - p, p], [p, 1 - p]])

    def forward(y):
        """Return p(y) of one chain, which starts in state 0."""
        state = np.array([1.0, 0.0])
        for y_t in y:
            chance = np.exp(dist.Normal(jnp.array([0.0, 2.0]), 1.0).log_prob(y_t))
            state = (state @ trans) * chance
        return np.log(state.sum())

    prior = dist.Beta(2.0, 2.0).log_prob(p) + jnp.log(p * (1 - p))
    expected = prior + forward(Y[:4]) + forward(Y[:2])
    np.testing.assert_allclose(target.log_density(position), expected, rtol=1e-5)
    drawn = draw_discrete(target, jax.random.key(0), {"p": jnp.full(50, 0.4)})["z"]
    assert drawn[:, 2:, 1].max() == 0
    assert drawn[:, :4, 0].max() == 1
