"""Mean-field ADVI of a logistic regression: vijax beside NumPyro, PyMC and Pyro.

The same work for all: N = 1000 rows, D = 20 coefficients, prior N(0, 1), a diagonal
normal q, one draw a step, Adam with learning rate 0.01, 10,000 steps. Cold is the
first call, compilation included; warm is the median of calls after it, none of which
may compile. Errors are to a long NUTS run, so that speed is not bought with accuracy.
The first row is not the same work but the same answer: `vi.fit` with its defaults. The
third is the least that these steps take: of this model alone, in a scan by hand. The
fourth adds the gradients that a verdict looks at: 2,048 of draws, and, as these steps
do not settle, 256 in float64. PyMC and Pyro are left out where they are not installed.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoNormal

from vijax import vi

LOADED = vi.fit, vi.from_numpyro, vi.Stochastic  # importing is not part of a fit
NUM_STEPS, LEARNING_RATE, REPEATS = 10_000, 0.01, 5
OPTIMIZER = optax.adam(LEARNING_RATE)


def make_data() -> tuple[np.ndarray, np.ndarray]:
    """Return (x, y) with coefficients drawn from the prior."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 20)).astype(np.float32)
    probability = 1 / (1 + np.exp(-x @ rng.normal(size=20)))
    return x, (rng.random(1000) < probability).astype(np.float32)


def model(x: Any, y: Any) -> None:
    """Logistic regression: y ~ Bernoulli(sigmoid(x w)), w ~ N(0, I)."""
    w = numpyro.sample("w", dist.Normal(jnp.zeros(x.shape[1]), 1.0).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ w).to_event(1), obs=y)


def run_defaults(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Fit with all defaults; return q's means and sds."""
    fit = vi.fit(vi.from_numpyro(model, x, y), jax.random.key(seed))
    return jax.block_until_ready((fit.q.mean(), fit.q.scale()))


def run_vijax(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Take all steps; return q's means and sds."""
    fit = vi.fit(
        vi.from_numpyro(model, x, y),
        jax.random.key(seed),
        method=vi.Stochastic(
            num_steps=NUM_STEPS,
            num_draws=1,
            optimizer=OPTIMIZER,
            stop=False,
            start="init",
        ),
    )
    return jax.block_until_ready((fit.q.mean(), fit.q.scale()))


def _log_density(w: Any, x: Any, y: Any) -> Any:
    logits = x @ w
    return jnp.sum(y * logits - jax.nn.softplus(logits)) - 0.5 * jnp.sum(w**2)


@jax.jit
def _scan(x: Any, y: Any, key: Any) -> tuple[Any, Any]:
    def loss(q: tuple[Any, Any], key: Any) -> Any:
        loc, log_scale = q
        w = loc + jnp.exp(log_scale) * jax.random.normal(key, loc.shape)
        return -_log_density(w, x, y) - jnp.sum(log_scale)

    def step(carry: Any, key: Any) -> tuple[Any, None]:
        q, state = carry
        updates, state = OPTIMIZER.update(jax.grad(loss)(q, key), state)
        return (optax.apply_updates(q, updates), state), None

    start = jnp.zeros(x.shape[1]), jnp.full(x.shape[1], jnp.log(0.1))
    carry = start, OPTIMIZER.init(start)
    (loc, log_scale), _ = jax.lax.scan(step, carry, jax.random.split(key, NUM_STEPS))[0]
    return loc, jnp.exp(log_scale)


def run_by_hand(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Take all steps of this one model, with nothing around them."""
    return jax.block_until_ready(_scan(x, y, jax.random.key(seed)))


def run_by_hand_and_look(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Take all steps by hand; evaluate the gradients that a verdict needs."""
    loc, scale = map(np.asarray, run_by_hand(x, y, seed))
    eps = np.random.default_rng(seed).normal(size=(9, 256, len(loc)))
    draws = loc + scale * eps
    for batch in draws[:8]:
        jax.block_until_ready(_slopes(batch.astype(np.float32), x, y))
    with jax.enable_x64(True):
        wide = jax.device_put([np.asarray(a, np.float64) for a in (x, y)])
        jax.block_until_ready(_slopes(draws[8], *wide))
    return loc, scale


@jax.jit
def _slopes(draws: Any, x: Any, y: Any) -> Any:
    look = jax.value_and_grad(_log_density)
    return jax.vmap(look, in_axes=(0, None, None))(draws, x, y)


def numpyro_runner() -> Callable[[Any, Any, int], tuple[Any, Any]]:
    """Return SVI.run of one SVI object, as NumPyro's users call it."""
    guide = AutoNormal(model, init_loc_fn=init_to_value(values={"w": jnp.zeros(20)}))
    svi = SVI(model, guide, numpyro.optim.Adam(LEARNING_RATE), Trace_ELBO())

    def run(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
        key = jax.random.key(seed)
        params = svi.run(key, NUM_STEPS, x, y, progress_bar=False).params
        return jax.block_until_ready((params["w_auto_loc"], params["w_auto_scale"]))

    return run


def run_pymc(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Take all steps in PyMC."""
    import pymc as pm

    x, y = np.asarray(x), np.asarray(y)
    with pm.Model():
        w = pm.Normal("w", 0.0, 1.0, shape=x.shape[1])
        pm.Bernoulli("y", logit_p=pm.math.dot(x, w), observed=y)
        q = pm.fit(
            NUM_STEPS,
            method="advi",
            obj_optimizer=pm.adam(learning_rate=LEARNING_RATE),
            progressbar=False,
            random_seed=seed,
        )
    return q.mean.eval(), q.std.eval()


def run_pyro(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """Take all steps in Pyro."""
    import pyro
    import pyro.distributions as pyro_dist
    import torch
    from pyro.infer import SVI as PyroSVI
    from pyro.infer import Trace_ELBO as PyroELBO
    from pyro.infer.autoguide import AutoDiagonalNormal

    pyro.set_rng_seed(seed)
    pyro.clear_param_store()
    x, y = torch.tensor(np.asarray(x)), torch.tensor(np.asarray(y))

    def pyro_model(x: Any, y: Any) -> None:
        w = pyro.sample("w", pyro_dist.Normal(torch.zeros(20), 1.0).to_event(1))
        pyro.sample("y", pyro_dist.Bernoulli(logits=x @ w).to_event(1), obs=y)

    guide = AutoDiagonalNormal(pyro_model)
    optimizer = pyro.optim.Adam({"lr": LEARNING_RATE})
    svi = PyroSVI(pyro_model, guide, optimizer, PyroELBO())
    for _ in range(NUM_STEPS):
        svi.step(x, y)
    posterior = guide.get_posterior().base_dist
    return posterior.loc.detach().numpy(), posterior.scale.detach().numpy()


def timed(run: Callable[..., Any], x: Any, y: Any, seed: int) -> tuple[float, Any]:
    """Return seconds and the result."""
    start = time.perf_counter()
    result = run(x, y, seed)
    return time.perf_counter() - start, result


def main() -> None:
    """Print both sides, cold and warm, with ratios."""
    x, y = make_data()
    runs: dict[str, tuple[Callable[..., Any], int]] = {
        "vijax, defaults": (run_defaults, REPEATS),
        "vijax": (run_vijax, REPEATS),
        "a scan by hand": (run_by_hand, REPEATS),
        "and its look": (run_by_hand_and_look, REPEATS),
        "NumPyro SVI.run": (numpyro_runner(), REPEATS),
    }
    peers = {"pymc": ("PyMC ADVI", run_pymc), "pyro": ("Pyro SVI", run_pyro)}
    for package, (name, run) in peers.items():
        if find_spec(package):
            runs[name] = run, 1
        else:
            print(f"{name} is left out: {package} is not installed")
    x_device, y_device = jnp.asarray(x), jnp.asarray(y)
    jax.block_until_ready(jax.random.key(0))  # else the first to run pays for it alone
    cold: dict[str, float] = {}
    warm: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, Any] = {}
    for name, (run, _) in runs.items():
        jax.clear_caches()  # none may find what another has compiled
        cold[name], found[name] = timed(run, x_device, y_device, 0)
    for run, repeats in runs.values():
        if repeats > 1:
            run(x_device, y_device, 0)
    for repeat in range(REPEATS):  # in turn, so that a slow minute hits all of them
        for name, (run, repeats) in runs.items():
            if repeat < repeats:
                warm[name].append(timed(run, x_device, y_device, repeat + 1)[0])
    nuts = MCMC(NUTS(model), num_warmup=1000, num_samples=10_000, progress_bar=False)
    nuts.run(jax.random.key(0), x_device, y_device)
    w = nuts.get_samples()["w"]
    mean, sd = np.asarray(w.mean(0)), np.asarray(w.std(0))
    print(__doc__.splitlines()[0])
    print(
        f"{'':18}{'cold s':>9}{'ratio':>8}{'warm s':>9}{'ratio':>8}"
        f"{'max |mean error| / sd':>24}{'median sd / NUTS':>18}"
    )
    for name in runs:
        loc, scale = map(np.asarray, found[name])
        seconds = median(warm[name])
        print(
            f"{name:18}{cold[name]:9.2f}{cold[name] / cold['vijax']:8.1f}"
            f"{seconds:9.3f}{seconds / median(warm['vijax']):8.1f}"
            f"{np.max(np.abs(loc - mean) / sd):24.2f}{np.median(scale / sd):18.3f}"
        )


if __name__ == "__main__":
    main()
