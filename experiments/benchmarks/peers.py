"""What a user would pick instead of `vi.fit`: other systems, on any NumPyro model.

Each takes (model, arguments, seed, steps) and returns draws by site. Defaults of each
system; NumPyro and BlackJAX have no default optimiser: Adam, 0.01, as in their
examples. BlackJAX, PyMC and nutpie get the log density that vijax makes of the model;
the last two in float64, which is their default, and call by call from outside of a
compiled loop, so that their seconds say little. `scaled` gives a system unknowns that
a user has scaled as well as can be.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from numpyro import handlers
from numpyro.contrib.funsor import config_enumerate
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, TraceEnum_ELBO
from numpyro.optim import Adam, optax_to_numpyro

from vijax import vi

NUM_DRAWS = 10_000
PATIENCE = 600.0  # seconds, after which a sampler that has no end in sight has failed
Model = Callable[..., Any]
Draws = dict[str, Any]  # site -> (draws, *shape)
System = Callable[[Model, tuple[Any, ...], int, int], Draws]


def numpyro_guide(guide_class: Any, *, falling: bool = False) -> System:
    """SVI.run with an automatic guide; `falling` steps go from 0.03 to 0.0003."""

    def run(model: Model, arguments: tuple[Any, ...], seed: int, steps: int) -> Draws:
        adam = optax.adam(_falling(steps))
        optimiser = optax_to_numpyro(adam) if falling else Adam(0.01)
        loss: Any = Trace_ELBO()
        visible = model
        if _has_discrete_unknowns(model, arguments):
            model, loss = config_enumerate(model), TraceEnum_ELBO()
            visible = handlers.block(model, hide_fn=_is_discrete)
        guide = guide_class(visible)
        svi = SVI(model, guide, optimiser, loss)
        key, draw_key = jax.random.split(jax.random.key(seed))
        found = svi.run(key, steps, *arguments, progress_bar=False)
        drawn: Draws = guide.sample_posterior(
            draw_key, found.params, *arguments, sample_shape=(NUM_DRAWS,)
        )
        return drawn

    return run


def _falling(steps: int) -> optax.Schedule:
    return optax.exponential_decay(0.03, steps, 0.01)


def _is_discrete(site: dict[str, Any]) -> bool:
    return (
        site["type"] == "sample"
        and not site["is_observed"]
        and site["fn"].support.is_discrete
    )


def _has_discrete_unknowns(model: Model, arguments: tuple[Any, ...]) -> bool:
    seeded = handlers.seed(model, jax.random.key(0))
    return any(
        _is_discrete(site)
        for site in handlers.trace(seeded).get_trace(*arguments).values()
    )


def scaled(system: System) -> System:
    """Give a system unknowns of about N(0, 1), by the means and sds of our own fit.

    By hand one would know less of them. The log density is the one that vijax makes of
    the model, and the system's seconds contain the fit.
    """

    def run(model: Model, arguments: tuple[Any, ...], seed: int, steps: int) -> Draws:
        target = vi.from_numpyro(model, *arguments)
        fit = vi.fit(target, jax.random.key(seed), family="full_rank")
        target, loc, scale = fit.target, fit.q.mean(), fit.q.scale()

        def standardised() -> None:
            normal = dist.Normal(jnp.zeros(loc.shape), 1.0).to_event(1)
            z = numpyro.sample("z", normal)  # guides begin by sampling
            density = target.log_density(loc + scale * z) - normal.log_prob(z)
            numpyro.factor("log_density", density)

        drawn = system(standardised, (), seed, steps)["z"]
        return _by_site(target, loc + scale * np.asarray(drawn, loc.dtype))

    return run


def numpyro_nuts(
    model: Model, arguments: tuple[Any, ...], seed: int, steps: int
) -> Draws:
    """Run four chains of NUTS with 1000 steps of warm-up and 1000 draws each."""
    chains = MCMC(
        NUTS(model),
        num_warmup=1000,
        num_samples=1000,
        num_chains=4,
        progress_bar=False,
    )
    chains.run(jax.random.key(seed), *arguments)
    draws: Draws = chains.get_samples()
    return draws


def blackjax_mean_field(*, falling: bool = False) -> System:
    """Fit meanfield_vi in a scan; `falling` steps as NumPyro's guides have them."""

    def fit(model: Model, arguments: tuple[Any, ...], seed: int, steps: int) -> Draws:
        import blackjax

        target = vi.from_numpyro(model, *arguments)
        rate = _falling(steps) if falling else 0.01
        algorithm = blackjax.meanfield_vi(target.log_density, optax.adam(rate))
        key, draw_key = jax.random.split(jax.random.key(seed))

        @jax.jit
        def run(key: jax.Array) -> Any:
            def step(state: Any, key: jax.Array) -> tuple[Any, None]:
                return algorithm.step(key, state)[0], None

            keys = jax.random.split(key, steps)
            return jax.lax.scan(step, algorithm.init(target.init), keys)[0]

        return _by_site(target, algorithm.sample(draw_key, run(key), NUM_DRAWS))

    return fit


def blackjax_pathfinder(
    model: Model, arguments: tuple[Any, ...], seed: int, steps: int
) -> Draws:
    """Run a single path; steps play no part."""
    from blackjax.vi import pathfinder

    target = vi.from_numpyro(model, *arguments)
    key, draw_key = jax.random.split(jax.random.key(seed))
    start = jax.random.uniform(key, target.init.shape, minval=-2.0, maxval=2.0)
    state, _ = jax.jit(
        lambda key, start: pathfinder.approximate(key, target.log_density, start)
    )(key, start)
    z, _ = pathfinder.sample(draw_key, state, NUM_DRAWS)
    return _by_site(target, z)


def pymc_advi(model: Model, arguments: tuple[Any, ...], seed: int, steps: int) -> Draws:
    """Fit mean field by `pm.fit`, with its own optimiser and rate."""
    import pymc
    from pytensor import wrap_jax

    with _float64(), pymc.Model():
        target = vi.from_numpyro(model, *arguments)
        start = np.asarray(target.init, float)
        z = pymc.Flat("z", shape=target.dim, initval=start)
        pymc.Potential("log_density", wrap_jax(target.log_density)(z))
        found = pymc.fit(steps, method="advi", random_seed=seed, progressbar=False)
        drawn = found.sample(NUM_DRAWS, random_seed=seed + 1).posterior["z"]
        return _by_site(target, drawn.values.reshape(-1, target.dim))


def nutpie_nuts(
    model: Model, arguments: tuple[Any, ...], seed: int, steps: int
) -> Draws:
    """Run four chains of nutpie's NUTS, warm-up and number of draws its own."""
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    with _float64():
        target = vi.from_numpyro(model, *arguments)
        slope = jax.jit(jax.value_and_grad(target.log_density))

        def log_density(z: Any) -> tuple[float, Any]:
            value, gradient = slope(z)
            return float(value), np.asarray(gradient, float)

        compiled = from_pyfunc(
            target.dim,
            lambda: log_density,
            lambda *_: lambda z, **_: {"z": z},
            [np.dtype(float)],
            [(target.dim,)],
            ["z"],
        )
        sampler: Any = nutpie.sample(
            compiled, chains=4, seed=seed, progress_bar=False, blocking=False
        )
        try:
            found = sampler.wait(timeout=PATIENCE)
        except TimeoutError:
            sampler.abort()
            raise TimeoutError(f"no answer within {PATIENCE:.0f} s") from None
        drawn = found.posterior["z"].values
        return _by_site(target, drawn.reshape(-1, target.dim))


@contextmanager
def _float64() -> Iterator[None]:
    """Compute in float64 in all threads; `jax.enable_x64` is of one alone."""
    wide = jax.config.values["jax_enable_x64"]
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", wide)


def _by_site(target: vi.Target, z: Any) -> Draws:
    """Return the draws of each site at positions (draws, dim)."""
    draws: Draws = jax.jit(jax.vmap(target.constrain))(z)
    return draws
