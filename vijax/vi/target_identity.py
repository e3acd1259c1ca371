"""What a stored fit is of: its model, unknowns and data, in words and hashes.

    describe_target(target)      what must be the same, by name
    look_at(target, positions)   log density and constrained sites at a few draws of q

`vi.store` writes both, and compares them with those of the reader's target.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax import fingerprint
from vijax.vi.engine.batched_density import over_draws
from vijax.vi.engine.compilation import density_jit
from vijax.vi.result import Fit
from vijax.vi.targets import target as plain_target
from vijax.vi.targets.arguments.data_arguments import join
from vijax.vi.targets.models import numpyro_model
from vijax.vi.targets.target import Target

NUM_PROBES = 4  # draws of q at which the density is compared
RTOL = {"float32": 1e-4, "float64": 1e-8}  # another machine sums in another order


def maker_of(target: Target) -> str | None:
    """Return which function made the target; None where it is a user's own."""
    makers = {numpyro_model.__name__: "numpyro", plain_target.__name__: "log_density"}
    return makers.get(target.static.log_density.__module__)


def describe_target(target: Target) -> dict[str, Any]:
    """Say what makes a target this one, in words that a refusal can show."""
    static = target.static
    try:
        source = fingerprint.fingerprint(static.function)
    except ValueError:  # it holds what cannot be looked into: its values must do
        source = "not known"
    unknowns = {site.name: str(list(site.shape)) for site in static.sites}
    return {
        "model": getattr(
            static.function, "__qualname__", type(static.function).__name__
        ),
        "module": getattr(static.function, "__module__", ""),
        "maker": maker_of(target),
        "bound": static.bound,
        "source": source,
        "arguments": _describe_arguments(target),
        "unknowns": {
            "positive": static.positive,
            "type": str(np.dtype(target.init.dtype)),
            "order": " ".join(unknowns),
            **{f"shape of {name}": shape for name, shape in unknowns.items()},
        },
        "structure": {
            "subsampled plates": str([tuple(plate) for plate in static.plates]),
            "discrete sites": str([tuple(site) for site in static.discrete]),
            "rows of the stream": _describe_stream(target),
        },
        "x64": bool(jax.config.read("jax_enable_x64")),
        "versions": _versions(),
    }


def _describe_stream(target: Target) -> str:
    """Say which rows a stream has: as many checksums as blocks, hashed."""
    if not target.streamed:
        return "none"
    stream = target.static.stream.stream
    found = fingerprint.fingerprint((stream.block_size, *stream.checksums))
    return f"{stream.num_rows}, SHA-256 of their checksums {found[:32]}"


def _versions() -> str:
    import numpyro

    import vijax

    return (
        f"vijax {vijax.__version__}, jax {jax.__version__}, "
        f"numpyro {numpyro.__version__}"
    )


def _describe_arguments(target: Target) -> dict[str, str]:
    """Return path -> type, shape and hash of the model's arguments."""
    maker = maker_of(target)
    structure: Any = target.static.structure
    if maker is None:
        tree: Any = {"data": target.data}
    else:
        parted = structure if maker == "numpyro" else structure[1]
        args, kwargs = join(target.data, parted)
        skipped = 0 if maker == "numpyro" else 1
        tree = _named(target.static.function, skipped, args, kwargs)
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): _describe(leaf)
        for path, leaf in leaves
    }


def _named(
    function: Callable[..., Any], skipped: int, args: Any, kwargs: Any
) -> dict[str, Any]:
    """Return the arguments by the names that the function has for them."""
    try:
        signature = inspect.signature(function)
        return dict(signature.bind(*skipped * (None,), *args, **kwargs).arguments)
    except (TypeError, ValueError):
        return {"args": args, "kwargs": kwargs}


def _describe(leaf: Any) -> str:
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        shape = f"{leaf.dtype}{list(np.shape(leaf))}"
        held = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        return f"{shape}, SHA-256 {fingerprint.fingerprint(held)[:32]}"
    return str(fingerprint.about(x=leaf)["x"])


def identity_of(target: Target) -> Any:
    """Return what two equal targets have in common."""
    return target.static, _describe_arguments(target)


def compare(
    path: Path, kind: str, theirs: dict[str, str], ours: dict[str, str]
) -> None:
    """Raise a ValueError that names the first thing that is not the same."""
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = (table.get(name, "absent") for table in (theirs, ours))
        if there != here:
            raise ValueError(
                f"{path} is a fit of another model or other data: of the {kind}, "
                f"{name} is {there} there and {here} here; give those of the fit, or "
                "fit again"
            )


def probe_positions(fit: Fit) -> np.ndarray:
    """Return a few draws of the fit, to look at the density at."""
    if fit.chains is not None:
        drawn = np.asarray(fit.chains.positions)
        return drawn.reshape(-1, drawn.shape[-1])[:NUM_PROBES]
    shape = (NUM_PROBES, fit.target.dim)
    # The same noise for every fit: places to look at, not random numbers.
    eps = np.random.default_rng(0).normal(size=shape).astype(fit.target.init.dtype)
    return np.asarray(_transform(fit.q, eps))


@density_jit
def _transform(q: Any, eps: Any) -> Any:
    return q.transform(jnp.asarray(eps))


def look_at(target: Target, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the log density and a number for each constrained site, at each place."""
    found = jax.device_get(_values(target, positions))
    return {name: np.asarray(values) for name, values in found.items()}


@density_jit
def _values(target: Target, positions: Any) -> dict[str, Array]:
    def look(position: Array) -> dict[str, Array]:
        values = target.constrain(position)
        found = {f"site {name}": _one_number(x) for name, x in values.items()}
        return {"log density": target.log_density(position), **found}

    return over_draws(target, look, jnp.asarray(positions))


def _one_number(values: Any) -> Array:
    """Return a mean that another order of the entries, or another shape, changes."""
    flat = jnp.ravel(values).astype(float)
    weights = 1.0 + jnp.cos(1.0 + jnp.arange(flat.size) + jnp.ndim(values))
    return jnp.sum(flat * weights) / max(flat.size, 1)


def is_close(theirs: np.ndarray | None, ours: np.ndarray | None) -> bool:
    """Say whether numbers are the same but for rounding on another machine."""
    if theirs is None or ours is None or theirs.shape != ours.shape:
        return False
    rtol = RTOL.get(str(ours.dtype), 1e-4)
    finite = np.abs(theirs[np.isfinite(theirs)])
    atol = rtol * float(np.max(finite, initial=1e-30))
    return bool(np.allclose(theirs, ours, rtol=rtol, atol=atol, equal_nan=True))
