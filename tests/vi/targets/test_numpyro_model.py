"""The target of a model is NumPyro's own potential, at any position, for any model."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.contrib.control_flow import cond, scan
from numpyro.distributions import constraints
from numpyro.infer import init_to_median
from numpyro.infer.reparam import (
    CircularReparam,
    LocScaleReparam,
    ProjectedNormalReparam,
    TransformReparam,
)
from numpyro.infer.util import initialize_model

from vijax import vi

X = np.linspace(-1.0, 1.0, 5)
Y = np.array([0.3, -0.5, 0.4, 1.0, 1.9])
NORMAL = dist.Normal(0.0, 1.0)


def positive_walk(y):
    """Several sites, one positive, one of a simplex, one on an interval that moves."""

    def step(level, y_t):
        level = numpyro.sample("level", dist.LogNormal(jnp.log(level), 0.3))
        part = numpyro.sample("part", dist.Dirichlet(jnp.ones(3)))
        u = numpyro.sample("u", dist.Uniform(-level, level))
        numpyro.deterministic("doubled", 2 * level)
        numpyro.sample("y", dist.Normal(level * part[0] + u, 0.5), obs=y_t)
        return level, u

    scan(step, jnp.array(1.0), y)


def plate_in_scan(y):
    with numpyro.plate("series", 2):
        drift = numpyro.sample("drift", NORMAL)

    def step(x, y_t):
        with numpyro.plate("series", 2):
            x = numpyro.sample("x", dist.Normal(x + drift, 1.0))
            numpyro.sample("y", dist.StudentT(3.0, x, 0.5), obs=y_t)
        return x, x

    scan(step, jnp.zeros(2), y)


def backwards(y):
    def step(x, y_t):
        x = numpyro.sample("x", dist.LogNormal(0.9 * x, 0.5))
        numpyro.sample("y", dist.Normal(x, 0.5), obs=y_t)
        return x, None

    scan(step, jnp.array(0.0), y, reverse=True)


def two_lags(y):
    phi = numpyro.sample("phi", dist.Uniform(-1.0, 1.0).expand([2]).to_event(1))

    def step(carry, y_t):
        last, before = carry
        x = numpyro.sample("x", dist.Normal(phi[0] * last + phi[1] * before, 1.0))
        numpyro.sample("y", dist.Normal(x, 0.3), obs=y_t)
        return (x, last), None

    scan(step, (jnp.array(0.0), jnp.array(0.0)), y, history=2)


def reparametrised_scan(y):
    def step(x, y_t):
        config = {"x": LocScaleReparam(0.0)}
        with handlers.reparam(config=config):
            x = numpyro.sample("x", dist.Normal(x, 2.0))
        numpyro.sample("y", dist.Normal(x, 0.5), obs=y_t)
        return x, None

    scan(step, jnp.array(0.0), y)


def branches(y):
    z = numpyro.sample("z", NORMAL)

    def low(scale):
        return numpyro.sample("x", dist.Gamma(2.0, scale))

    def high(scale):
        return numpyro.sample("x", dist.Gamma(5.0, 2.0 * scale))

    x = cond(z > 0, high, low, 1.5)
    numpyro.sample("y", dist.Normal(x, 1.0), obs=y)


def schools(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("schools", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, 2.0), obs=y)


def non_centred(y):
    handlers.reparam(schools, config={"theta": LocScaleReparam(0.0)})(y)


def partly_centred(y):
    handlers.reparam(schools, config={"theta": LocScaleReparam(0.4)})(y)


def transformed(y):
    affine = dist.transforms.AffineTransform(1.0, 3.0)
    prior = dist.TransformedDistribution(NORMAL, affine)
    with handlers.reparam(config={"theta": TransformReparam()}):
        theta = numpyro.sample("theta", prior)
    numpyro.sample("y", dist.Normal(theta, 1.0), obs=y)


def exponentials(y):
    """Transformed distributions kept as they are."""
    warped = dist.transforms.ExpTransform()
    a = numpyro.sample("a", dist.TransformedDistribution(NORMAL, warped))
    squash = [dist.transforms.SigmoidTransform()]
    b = numpyro.sample("b", dist.TransformedDistribution(dist.Normal(0, 2), squash))
    c = numpyro.sample("c", dist.Weibull(2.0, 1.5))
    numpyro.sample("y", dist.Normal(a * b, c), obs=y)


def circles(y):
    with handlers.reparam(config={"phi": CircularReparam()}):
        phi = numpyro.sample("phi", dist.VonMises(0.5, 2.0))
    numpyro.sample("y", dist.VonMises(phi, 3.0), obs=y)


def directions(y):
    with handlers.reparam(config={"n": ProjectedNormalReparam()}):
        n = numpyro.sample("n", dist.ProjectedNormal(jnp.array([1.0, 0.0, -0.5])))
    numpyro.sample("y", dist.Normal(n.sum(), 1.0), obs=y)


def intervened(y):
    handlers.do(schools, data={"mu": 1.0})(y)


def conditioned(y):
    handlers.condition(schools, data={"tau": 0.7})(y)


def substituted(y):
    handlers.substitute(schools, data={"tau": 0.7})(y)


def masked(y):
    z = numpyro.sample("z", dist.Normal(0.0, 2.0).mask(False))
    with numpyro.plate("n", len(y)), handlers.mask(mask=y > 0):
        x = numpyro.sample("x", dist.LogNormal(z, 1.0))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=y)
    with handlers.mask(mask=False):
        numpyro.sample("unused", dist.HalfNormal(1.0))


def scaled(y):
    with handlers.scale(scale=0.25):
        z = numpyro.sample("z", dist.Gamma(2.0, 1.0))
    with handlers.scale(scale=3.0), numpyro.plate("n", len(y)):
        numpyro.sample("y", dist.Normal(z, 1.0), obs=y)


def blocked(y):
    mu = numpyro.sample("mu", NORMAL)
    with handlers.block(hide=["side"]):
        numpyro.sample("side", dist.Normal(mu, 1.0), obs=jnp.array(3.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def scoped(y):
    with handlers.scope(prefix="outer"):
        mu = numpyro.sample("mu", NORMAL)
    mu += numpyro.sample("mu", NORMAL)
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def nested_plates(y):
    rows, columns = y.shape
    with numpyro.plate("columns", columns, dim=-1):
        b = numpyro.sample("b", dist.Gamma(2.0, 2.0))
        with numpyro.plate("rows", rows, dim=-2):
            x = numpyro.sample("x", dist.Exponential(b))
            w = numpyro.sample("w", dist.Dirichlet(jnp.ones(2)))
            numpyro.sample("y", dist.Normal(x * w[..., 0], 1.0), obs=y)


def auxiliary(y):
    infer = {"is_auxiliary": True}
    a = numpyro.sample("a", dist.HalfNormal(2.0), infer=infer)
    numpyro.sample("y", dist.Normal(a, 1.0), obs=y)


def moving_support(y):
    top = numpyro.sample("top", dist.LogNormal(0.0, 1.0))
    low = numpyro.sample("low", dist.Uniform(0.0, top))
    t = numpyro.sample("t", dist.TruncatedNormal(0.0, 1.0, low=low, high=top + 1.0))
    p = numpyro.sample("p", dist.Pareto(0.5 + low, 3.0))
    half = numpyro.sample("half", dist.LeftTruncatedDistribution(NORMAL, low=t))
    numpyro.sample("y", dist.Normal(p + half, 1.0), obs=y)


def improper(y):
    a = numpyro.sample("a", dist.ImproperUniform(constraints.real, (), (3,)))
    b = numpyro.sample("b", dist.ImproperUniform(constraints.positive, (2,), ()))
    c = numpyro.sample("c", dist.ImproperUniform(constraints.ordered_vector, (), (3,)))
    numpyro.factor("proper", -(a**2).sum() - b.sum() - (c**2).sum())
    numpyro.sample("y", dist.Normal(a[0] + b[1] + c[2], 1.0), obs=y)


def matrices(y):
    chol = numpyro.sample("chol", dist.LKJCholesky(3, 2.0))
    corr = numpyro.sample("corr", dist.LKJ(2, 1.5))
    cov = numpyro.sample("cov", dist.Wishart(4.0, jnp.eye(2)))
    loc = chol[2] @ jnp.ones(3) + corr[0, 1] + cov[1, 0]
    numpyro.sample("y", dist.Normal(loc, 1.0), obs=y)


def vectors(y):
    zero = numpyro.sample("zero", dist.ZeroSumNormal(1.0, (4,)))
    flat = numpyro.sample("flat", dist.Dirichlet(jnp.array([2.0, 1.0, 0.5])))
    ordered = dist.transforms.OrderedTransform()
    up = numpyro.sample(
        "up", dist.TransformedDistribution(NORMAL.expand([3]).to_event(1), ordered)
    )
    beta = numpyro.sample("beta", dist.Beta(2.0, 3.0).expand([2]).to_event(1))
    loc = zero[0] + flat[1] * up[2] + beta[0]
    numpyro.sample("y", dist.Normal(loc, 1.0), obs=y)


def gaussian_walks(y):
    walk = numpyro.sample("walk", dist.GaussianRandomWalk(0.5, num_steps=5))
    mvn = dist.MultivariateNormal(
        jnp.zeros(2), scale_tril=jnp.array([[1, 0], [1, 2.0]])
    )
    v = numpyro.sample("v", mvn)
    adjacency = jnp.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    car = numpyro.sample("car", dist.CAR(0.0, 0.7, 1.5, adjacency))
    numpyro.sample("y", dist.Normal(walk + v[0] + car[1], 1.0), obs=y)


def imputed(y):
    mask = ~np.isnan(y)
    mu = numpyro.sample("mu", NORMAL)
    with numpyro.plate("n", len(y)):
        filled = dist.LogNormal(mu, 1.0)
        x = numpyro.sample("x", filled, obs=jnp.nan_to_num(y, nan=1.0), obs_mask=mask)
        numpyro.sample("z", dist.Normal(x, 1.0), obs=jnp.ones(len(y)))


def sizes_from_data(y):
    """The number of groups from the data, a branch by them: their values are fixed."""
    group = np.array([0, 1, 1, 2, 0])
    scale = 2.0 if y.max() > 1 else 1.0
    with numpyro.plate("groups", len(np.unique(np.round(y)))):
        mu = numpyro.sample("mu", dist.Normal(0.0, scale))
    numpyro.sample("y", dist.Normal(mu[group], 1.0), obs=y)


def sample_shapes(y):
    w = numpyro.sample("w", dist.HalfNormal(1.0), sample_shape=(3,))
    v = numpyro.sample("v", dist.Dirichlet(jnp.ones(2)), sample_shape=(2,))
    numpyro.sample("y", dist.Normal(w.sum() * v[0, 1], 1.0), obs=y)


def others(y):
    """A mixture, a factor, a deterministic site, an ordinal and a count likelihood."""
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(2)))
    locs = numpyro.sample("locs", dist.Normal(0, 3).expand([2]).to_event(1))
    mixture = dist.MixtureSameFamily(dist.Categorical(weights), dist.Normal(locs, 1.0))
    numpyro.sample("y", mixture, obs=y)
    numpyro.factor("prefer", -jnp.abs(locs[0] - locs[1]))
    gap = numpyro.deterministic("gap", locs[1] - locs[0])
    c = numpyro.sample("c", dist.ImproperUniform(constraints.ordered_vector, (), (2,)))
    numpyro.factor("tame", -(c**2).sum())
    numpyro.sample("k", dist.OrderedLogistic(gap, c), obs=jnp.array([0, 1, 2]))
    rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    counts = dist.ZeroInflatedPoisson(weights[0], rate)
    numpyro.sample("counts", counts, obs=jnp.array([0, 2, 1]))


def closure(y):
    numpyro.sample("y", dist.Normal(jnp.asarray(X) @ _weights(), 1.0), obs=y.sum())


def _weights():
    return numpyro.sample("w", dist.Laplace(jnp.zeros(len(X)), 1.0).to_event(1))


def fixed_param(y):
    def model(y):
        mu = numpyro.param("mu", 0.0)
        s = numpyro.sample("s", dist.HalfNormal(10.0))
        numpyro.sample("y", dist.Normal(mu, s), obs=y)

    handlers.substitute(model, data={"mu": 0.8})(y)


SERIES = np.stack([Y, Y[::-1]], -1)
HOLES = np.array([0.4, np.nan, 1.5, np.nan, 0.3])
# The quick ones hold what the target adds to NumPyro; the rest, NumPyro's own breadth.
QUICK = [
    (positive_walk, Y),
    (plate_in_scan, SERIES),
    (backwards, Y),
    (branches, Y),
    (masked, Y),
    (imputed, HOLES),
    (sample_shapes, Y),
    (moving_support, Y),
]
SLOW = [
    (two_lags, Y),
    (reparametrised_scan, Y),
    (schools, Y),
    (non_centred, Y),
    (partly_centred, Y),
    (transformed, Y),
    (exponentials, Y),
    (circles, Y),
    (directions, Y),
    (intervened, Y),
    (conditioned, Y),
    (substituted, Y),
    (scaled, Y),
    (blocked, Y),
    (scoped, Y),
    (nested_plates, SERIES),
    (auxiliary, Y),
    (improper, Y),
    (matrices, Y),
    (vectors, Y),
    (gaussian_walks, Y),
    (others, Y),
    (sizes_from_data, Y),
    (closure, Y),
    (fixed_param, Y),
]
MODELS = [pytest.param(*case, id=case[0].__name__) for case in QUICK] + [
    pytest.param(*case, id=case[0].__name__, marks=pytest.mark.slow) for case in SLOW
]


def numpyro_potential(model, *args):
    """Return NumPyro's unknowns, as shapes by name, and its potential."""
    found = {}

    def unknowns():
        info = initialize_model(
            jax.random.key(3),
            model,
            init_strategy=init_to_median,
            model_args=args,
            validate_grad=False,
        )
        found["potential"] = info.potential_fn
        return info.param_info.z

    shapes = jax.eval_shape(unknowns)
    return {name: leaf.shape for name, leaf in shapes.items()}, found["potential"]


@pytest.mark.filterwarnings("ignore:init_to_median")  # of what is substituted
@pytest.mark.parametrize(("model", "y"), MODELS)
def test_target_is_numpyros_potential(x64, model, y):
    target = vi.from_numpyro(model, y)
    unknowns, potential = numpyro_potential(model, y)
    assert {site.name: site.shape for site in target.static.sites} == unknowns
    ours = jax.value_and_grad(target.log_density)
    theirs = jax.value_and_grad(lambda position: -potential(target.unravel(position)))

    def look(position):
        again = target.unconstrain(target.constrain(position))
        return ours(position), theirs(position), again

    positions = jax.random.normal(jax.random.key(1), (3, target.dim))
    (value, grad), (expected, expected_grad), again = jax.jit(jax.vmap(look))(positions)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(again, positions, rtol=1e-6, atol=1e-7)


def test_times_that_float32_would_blur_are_refused(float32):
    def line(t, y):
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(slope * t, 1.0), obs=y)

    minute, years = np.arange(60.0), np.arange(1900.0, 1960.0)
    with pytest.raises(ValueError, match="like 1600000000, which differ by 17"):
        vi.from_numpyro(line, 1.6e9 + minute, minute)
    constant = 0.1 + 1e-17 * minute
    for kept in (minute, years, years.astype(np.float32), constant, 1e30 * minute):
        assert vi.from_numpyro(line, kept, minute).dim == 1
    with jax.enable_x64(True):
        assert vi.from_numpyro(line, 1.6e9 + minute, minute).dim == 1


def scale_of(y):
    """A site with a map, so that the density has a factor of its own."""
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(0.0, scale), obs=y)


def test_a_density_leaves_nothing_among_the_sites_of_a_caller():
    target = vi.from_numpyro(scale_of, Y)

    def other():
        z = numpyro.sample("z", NORMAL.expand([1]).to_event(1))
        numpyro.factor("density", target.log_density(z) - 3.0)
        target.unconstrain(target.constrain(z))

    sites = handlers.trace(handlers.seed(other, 0)).get_trace()
    assert list(sites) == ["z", "density"]
    nested = vi.from_numpyro(other)
    position = jnp.array([0.4])
    expected = target.log_density(position) - 3.0 + NORMAL.log_prob(0.4)
    assert nested.log_density(position) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize(
    "handler",
    [
        handlers.condition(data={"scale": 2.0}),
        handlers.scale(scale=10.0),
        handlers.mask(mask=False),
        numpyro.plate("rows", 5),
    ],
    ids=["condition", "scale", "mask", "plate"],
)
def test_a_target_that_is_made_inside_of_a_handler_is_refused(handler):
    with handler, pytest.raises(ValueError, match="give the model under it"):
        vi.from_numpyro(scale_of, Y)
    assert vi.from_numpyro(scale_of, Y).dim == 1


def test_handlers_that_change_no_model_are_no_hindrance():
    expected = vi.from_numpyro(scale_of, Y)
    with handlers.seed(rng_seed=0), handlers.trace() as seen, handlers.block():
        target = vi.from_numpyro(scale_of, Y)
    assert not seen
    assert target.static == expected.static
