"""Template fits: vijax beside pyhf, with its NumPy and its JAX backend.

Two models: two bins with three parameters, and four channels of 25 bins with four
samples and 119 parameters (normfactor, normsys, histosys, staterror). Cold is the first
call, compilation included; warm the median of calls after it. pyhf's optimiser is its
default, SciPy's SLSQP, with gradients where the backend has them. The last column is
how far each ends above the lowest −2 log L: speed is not bought with accuracy.
"""

import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vijax import physics
from vijax.extras import require
from vijax.physics.target import parts_of, template_fit

pyhf = require("pyhf", extra="physics", purpose="this benchmark")
REPEATS = 15


def two_bins() -> dict[str, Any]:
    """Return a signal on an uncertain background in two bins."""
    signal = _sample("signal", [5.0, 10.0], [_factor("mu")])
    shape = {"name": "shape", "type": "shapesys", "data": [5.0, 12.0]}
    background = _sample("background", [50.0, 60.0], [shape])
    return _workspace({"region": [signal, background]}, {"region": [53.0, 65.0]})


def four_channels() -> dict[str, Any]:
    """Return a model as large as those of searches, from a fixed seed."""
    rng = np.random.default_rng(0)
    channels, observed = {}, {}
    for number in range(4):
        name = f"channel_{number}"
        samples = []
        for kind, scale in (("signal", 5), ("top", 80), ("w", 60), ("other", 20)):
            data = scale * rng.uniform(0.5, 1.5, 25)
            modifiers = [_normalisation(rng, f"norm_{kind}_{n}") for n in range(2)]
            modifiers += [_shape(rng, f"shape_{n}", data) for n in range(10)]
            if kind == "signal":
                modifiers.append(_factor("mu"))
            else:
                error = {"name": f"stat_{name}", "type": "staterror"}
                modifiers.append(error | {"data": (0.03 * data).tolist()})
            samples.append(_sample(kind, data.tolist(), modifiers))
        channels[name] = samples
        total = sum(np.array(sample["data"]) for sample in samples)
        observed[name] = rng.poisson(total).astype(float).tolist()
    return _workspace(channels, observed)


def _sample(name: str, data: list[float], modifiers: list[Any]) -> dict[str, Any]:
    return {"name": name, "data": data, "modifiers": modifiers}


def _factor(name: str) -> dict[str, Any]:
    return {"name": name, "type": "normfactor", "data": None}


def _normalisation(rng: np.random.Generator, name: str) -> dict[str, Any]:
    limits = {"hi": 1 + rng.uniform(0.02, 0.1), "lo": 1 - rng.uniform(0.02, 0.1)}
    return {"name": name, "type": "normsys", "data": limits}


def _shape(rng: np.random.Generator, name: str, data: np.ndarray) -> dict[str, Any]:
    tilt = rng.uniform(-0.05, 0.05) * np.linspace(-1, 1, len(data))
    up, down = data * (1 + tilt), data * (1 - rng.uniform(0.8, 1.2) * tilt)
    shapes = {"hi_data": up.tolist(), "lo_data": down.tolist()}
    return {"name": name, "type": "histosys", "data": shapes}


def _workspace(channels: dict[str, Any], observed: dict[str, Any]) -> dict[str, Any]:
    measurement = {"name": "fit", "config": {"poi": "mu", "parameters": []}}
    return {
        "channels": [{"name": n, "samples": s} for n, s in channels.items()],
        "observations": [{"name": n, "data": d} for n, d in observed.items()],
        "measurements": [measurement],
        "version": "1.0.0",
    }


def seconds(run: Callable[[], Any]) -> float:
    """Return how long a call takes, its arrays waited for."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def cold_and_warm(run: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Return the first call's time, and the median of those after it."""
    first = seconds(run)
    return first, median(seconds(run) for _ in range(repeats))


def measure(name: str, spec: dict[str, Any]) -> None:
    """Print the table of one model."""
    workspace = pyhf.Workspace(spec)
    target = physics.from_pyhf(spec)
    _, data = parts_of(target)
    theta = np.asarray(data.init)
    print(f"\n{name}: {len(theta)} parameters, {data.observed.main.size} bins")
    print(f"{'':34}{'cold s':>10}{'warm ms':>12}{'-2 log L above':>18}")
    slope = jax.jit(jax.value_and_grad(lambda x: template_fit(data, x)))
    rows: list[tuple[str, float, float, float | None]] = [
        (
            "log L and gradient, vijax",
            *cold_and_warm(lambda: slope(jnp.asarray(theta)), REPEATS),
            None,
        )
    ]
    fits = {
        "vijax": lambda: physics.maximum_likelihood(target).log_likelihood * -2,
    }
    for backend in ("numpy", "jax"):
        pyhf.set_backend(backend, precision="64b")
        model = workspace.model()
        counts = workspace.data(model)
        rows.append(_pyhf_density(backend, model, counts, theta))
    for backend, run in fits.items():
        rows.append((f"fit, {backend}", *cold_and_warm(run, 5), float(run())))
    for backend in ("numpy", "jax"):
        pyhf.set_backend(backend, precision="64b")
        model = workspace.model()
        counts = workspace.data(model)

        def run(model: Any = model, counts: Any = counts) -> Any:
            return pyhf.infer.mle.fit(counts, model, return_fitted_val=True)[1]

        rows.append((f"fit, pyhf {backend}", *cold_and_warm(run, 3), float(run())))
    lowest = min(value for *_, value in rows if value is not None)
    for label, first, warm, value in rows:
        above = "" if value is None else f"{value - lowest:.2e}"
        print(f"{label:34}{first:10.3f}{1e3 * warm:12.3f}{above:>18}")


def _pyhf_density(
    backend: str, model: Any, counts: Any, theta: np.ndarray
) -> tuple[str, float, float, None]:
    """Time pyhf's log density; NumPy has no gradient, JAX is compiled with it."""
    if backend == "numpy":

        def run() -> Any:
            return model.logpdf(theta, counts)

        return "log L, pyhf numpy", *cold_and_warm(run, REPEATS), None
    density = jax.jit(jax.value_and_grad(lambda x: model.logpdf(x, counts)[0]))
    times = cold_and_warm(lambda: density(jnp.asarray(theta)), REPEATS)
    return "log L and gradient, pyhf jax", *times, None


def main() -> None:
    """Measure both models."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of pyhf's use of jsonschema
    print(__doc__.splitlines()[0])
    with jax.enable_x64(True):
        measure("two bins", two_bins())
        measure("four channels", four_channels())
    pyhf.set_backend("numpy")


if __name__ == "__main__":
    main()
