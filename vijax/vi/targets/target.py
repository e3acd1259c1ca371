r"""A target: an unconstrained log density, its data, and the map back.

    target = from_log_density(log_density, init)  log p(θ) for any pytree of reals
    target = from_numpyro(model, x, y)            in numpyro_model.py

    target.log_density(position)   log p(θ(u)) + log |dθ/du|, u a vector of ℝ^dim
    target.constrain(position)     θ(u), a dict of arrays by name

A Target is a pytree. Its leaves are the data and the start; the model is static.
So a function that is compiled for one target is compiled for all targets of the
same model with data of the same shapes.
"""

import html
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from vijax.precision import full_precision
from vijax.types import Key, LogDensity, Scalar
from vijax.vi.targets.arguments.data_arguments import (
    LEVELS,
    join,
    refuse_lost_digits,
    split,
)
from vijax.vi.targets.arguments.looked_up import looked_up, settled
from vijax.vi.targets.arguments.user_arguments import as_arrays
from vijax.vi.targets.work import work_of

POSITIVE = ("exp", "softplus")
WORK_OF_A_ROW = 64  # numbers computed
Rows = dict[str, Array]  # of subsampled plates, by name


class Site(NamedTuple):
    """One unknown in unconstrained space."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of its entries."""
        return int(np.prod(self.shape, dtype=int))


class Plate(NamedTuple):
    """A subsampled plate of a NumPyro model: `rows` of `size` at a time."""

    name: str
    size: int
    rows: int


class DiscreteSite(NamedTuple):
    """One discrete unknown of a NumPyro model, which is summed out."""

    name: str
    shape: tuple[int, ...]  # steps first where it is in a scan
    size: int  # how many values an entry can have: 0, 1, ...
    depth: int  # of the plates around it
    history: int  # steps that a scan's next step depends on; 0 outside of a scan
    masked: bool


class Static(NamedTuple):
    """What a compiled function depends on besides shapes; compared by value."""

    log_density: Callable[..., Array]  # (static, data, params, key)
    constrain: Callable[..., dict[str, Array]]  # (static, data, params, key)
    unconstrain: Callable[..., dict[str, Array]]  # (static, data, values)
    function: Callable[..., Any]  # the user's
    structure: Hashable  # how the user's arguments are rebuilt from the data
    sites: tuple[Site, ...] = ()
    positive: str = "exp"
    plates: tuple[Plate, ...] = ()  # that take a subsample of their rows
    discrete: tuple[DiscreteSite, ...] = ()
    followers: tuple[str, ...] = ()  # deterministic sites that depend on them
    nesting: int = 0  # plates inside each other
    backwards: tuple[str, ...] = ()  # sites of a reverse scan, cut by steps, not times
    draws_keys: bool = False  # the model asks for a random key
    work: int = 0  # numbers that an evaluation of the log density computes
    # arguments that a functools.partial has fixed: how many, and which by name
    bound: tuple[int, tuple[str, ...]] = (0, ())
    stream: Any = None  # of rows that are not in memory (see streamed_model)
    looked_up: Any = None  # what the function reads beside its arguments (`LookedUp`)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["data", "init"],
    meta_fields=["static"],
)
@dataclass(frozen=True)
class Target:
    """An unconstrained log density with its data; see the module's docstring."""

    data: PyTree
    init: Float[Array, "..."]  # where a search starts, (dim,)
    static: Static

    @property
    def dim(self) -> int:
        """Number of unconstrained coordinates."""
        return sum(site.size for site in self.static.sites)

    @property
    def data_size(self) -> int:
        """Numbers in the largest array of the data, at least 1."""
        return max([1, *(int(np.size(leaf)) for leaf in jax.tree.leaves(self.data))])

    @property
    def cost(self) -> int:
        """What an evaluation costs, in rows of a plain regression, at least the data's.

        It decides how many draws are taken at a time; see `work`.
        """
        return max(self.data_size, self.static.work // WORK_OF_A_ROW)

    @property
    def subsampled(self) -> bool:
        """Whether the model sees a subsample of its rows at a time."""
        return bool(self.static.plates)

    @property
    def streamed(self) -> bool:
        """Whether each look at the log density reads all rows from a stream."""
        return self.static.stream is not None

    def log_density(
        self, position: Float[Array, " dim"], key: Key | Rows | None = None
    ) -> Scalar:
        """Return the log density in nats.

        Of a model that subsamples it is an unbiased estimate: `key` draws the rows, or
        gives them by the plates' names. `draws.log_densities` runs through all of them.
        """
        return _log_density(self.static, self.data, self.unravel(position), key)

    def constrain(
        self, position: Float[Array, " dim"], key: Key | None = None
    ) -> dict[str, Array]:
        """Return the constrained unknowns (and deterministic sites) by name."""
        static = self.static
        return static.constrain(static, self.data, self.unravel(position), key)

    def unconstrain(self, values: dict[str, Array]) -> Float[Array, " dim"]:
        """Return the position of constrained unknowns: the inverse of `constrain`."""
        static = self.static
        params = static.unconstrain(static, self.data, values)
        parts = [jnp.ravel(params[site.name]) for site in static.sites]
        return jnp.concatenate(parts).astype(self.init.dtype)

    def unravel(self, position: Float[Array, " dim"]) -> dict[str, Array]:
        """Cut the vector into unconstrained arrays by name."""
        params, start = {}, 0
        for site in self.static.sites:
            params[site.name] = position[start : start + site.size].reshape(site.shape)
            start += site.size
        return params

    def by_entry(self, columns: Float[Array, "draws _"]) -> Float[Array, "draws _"]:
        """Spread numbers that stand by unconstrained coordinates over the entries.

        Of a site whose shapes differ (a simplex) each row of the last axis takes its
        first number.
        """
        shapes = jax.eval_shape(self.constrain, self.init)
        found, start = [], 0
        for site in self.static.sites:
            part = columns[:, start : start + site.size]
            start, shape = start + site.size, shapes[site.name].shape
            if shape != site.shape:
                rows = part.reshape(len(part), -1, site.shape[-1])[:, :, :1]
                part = jnp.broadcast_to(rows, (*rows.shape[:2], shape[-1]))
            found.append(part.reshape(len(part), -1))
        return jnp.concatenate(found, axis=1)

    def __str__(self) -> str:
        sites = [
            site.name + (str(list(site.shape)) if site.shape else "")
            for site in self.static.sites
        ]
        shown = ", ".join(sites[:8]) + (", …" if len(sites) > 8 else "")
        name = getattr(self.static.function, "__name__", "log density")
        plural = "" if self.dim == 1 else "s"
        return f"{name} ({self.dim} unknown{plural}: {shown})"

    def __repr__(self) -> str:
        return f"Target of {self}"

    def _repr_html_(self) -> str:
        return f"<b>Target</b> of {html.escape(str(self))}"

    def with_positive(self, positive: str) -> "Target":
        """Map positive unknowns by `exp` (the default) or by `softplus`."""
        if positive not in POSITIVE:
            raise ValueError(f"positive = {positive!r} is not one of {POSITIVE}")
        return replace(self, static=self.static._replace(positive=positive))


@partial(jax.jit, static_argnums=0)
@full_precision
def _log_density(
    static: Static, data: PyTree, params: dict[str, Array], key: Key | Rows | None
) -> Scalar:
    """Call the user's function: once for all the programs that it is part of."""
    return static.log_density(static, data, params, key)


def from_log_density(
    log_density: LogDensity, init: PyTree, *args: Any, **kwargs: Any
) -> Target:
    r"""Make a target of log_density(params, *args, **kwargs), params like `init`.

    The density may be unnormalised; its parameters are all of ℝ. Arguments given
    here are data: other data of the same shapes compiles nothing new, which data
    that the function closes over cannot do.

    Args:
        log_density: params -> log p(params) in nats, a scalar.
        init: any pytree of floating-point arrays: the parameters' structure and
            where the search for them starts. A dict gives them names.
        *args: data, passed on to `log_density`.
        **kwargs: data, passed on by name.

    Raises:
        ValueError: the density raises, or is no real number; no parameters, or some
            that are not of floating point; data as in `from_numpyro`.

    Example:
        >>> target = from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 1.0})
        >>> target.dim, target.log_density(jnp.array([2.0])).item()
        (1, -2.0)
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(init)
    if not paths:
        raise TargetError(f"init = {init!r} is not valid: it holds no parameters")
    for path, leaf in paths:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise TargetError(
                f"init{jax.tree_util.keystr(path)} is not valid: give a floating-point "
                f"array, not {jnp.result_type(leaf)}; sum discrete unknowns out"
            )
    sites = tuple(Site(_name(path), jnp.shape(leaf)) for path, leaf in paths)
    start = jnp.concatenate([jnp.ravel(jnp.asarray(leaf)) for _, leaf in paths])
    read = looked_up(log_density)
    (_, *data), kwargs = as_arrays(log_density, (init, *args), kwargs)
    args = tuple(data)
    refuse_lost_digits((args, kwargs))

    def make(level: int) -> Target:
        data, structure = split((args, kwargs), level)
        static = Static(
            _density_of_function,
            _constrain_function,
            _unconstrain_function,
            log_density,
            (treedef, structure),
            sites,
        )
        return Target(data, jnp.asarray(start, float_type()), static)

    target = first_that_traces(make, "log_density")
    static = target.static._replace(looked_up=settled(read, log_density))
    return replace(target, static=static)


def labels(target: Target) -> list[str]:
    """Return a name for each unknown: "beta[0]", "beta[1]", "sigma".

    Example:
        >>> labels(from_log_density(lambda p: -(p["x"] ** 2).sum(), {"x": jnp.ones(2)}))
        ['x[0]', 'x[1]']
    """
    return [
        f"{site.name}[{', '.join(map(str, index))}]" if index else site.name
        for site in target.static.sites
        for index in np.ndindex(*site.shape)
    ]


class TargetError(ValueError):
    """A target that cannot be, told in full; other errors are the user's function's."""


def first_that_traces(make: Callable[[int], Target], name: str) -> Target:
    """Make the target with all numbers as data, or with the fewest fixed that do."""
    failure: TraceFailed | None = None
    for level in LEVELS:
        try:
            return _checked(make(level), name)
        except TraceFailed as error:
            failure = error
    raise TargetError(f"{name} cannot be traced: {failure}") from failure


def _checked(target: Target, name: str) -> Target:
    given = target.static, shapes(target.data), float_type()
    shape, dtype, work = traced(_output, *given)
    if shape != () or not jnp.issubdtype(dtype, jnp.floating):
        raise TargetError(
            f"{name} is not valid: its log density has shape {shape} and type {dtype}; "
            "return one real number, summed over the data"
        )
    return replace(target, static=target.static._replace(work=work))


def _output(static: "Static", data: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    """Return shape and type of the log density, and what it takes to compute it."""

    def log_density(data: list[Array]) -> Array:
        init = jnp.zeros(sum(site.size for site in static.sites), dtype)
        params = Target(data, init, static).unravel(init)
        return static.log_density(static, data, params, jax.random.key(0))

    program = jax.make_jaxpr(log_density)(list(data))
    (value,) = program.out_avals
    return value.shape, value.dtype, work_of(program.jaxpr)


class TraceFailed(Exception):
    """The user's function raised while it was traced; says what."""


def traced(function: Callable[..., Any], *arguments: Hashable) -> Any:
    """Call a function that traces the user's, once for each set of arguments."""
    result, failure = _remembered(function, *arguments)
    if failure is not None:
        raise TraceFailed(failure)
    return result


# Tracing a model takes some hundredths of a second: once for each set of shapes.
@lru_cache(maxsize=512)
def _remembered(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    try:
        return function(*arguments), None
    except TargetError:
        raise
    except Exception as error:
        reason = str(error).split("\n", 1)[0]
        return None, f"{type(error).__name__}: {reason}"


def shapes(data: list[Array]) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes and types of the data, which stand for it in a trace."""
    return tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in data)


def float_type() -> Any:
    """Return the default floating-point type, float64 under x64."""
    return jnp.result_type(float)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "params"


# ---- a plain function ----


def _density_of_function(
    static: Static,
    data: list[Array],
    params: dict[str, Array],
    key: Key | Rows | None,
) -> Array:
    treedef, structure = _pair(static.structure)
    args, kwargs = join(data, structure)
    tree = jax.tree.unflatten(treedef, params.values())
    return jnp.asarray(static.function(tree, *args, **kwargs))


def _constrain_function(
    static: Static,
    data: list[Array],
    params: dict[str, Array],
    key: Key | Rows | None,
) -> dict[str, Array]:
    return params


def _unconstrain_function(
    static: Static, data: list[Array], values: dict[str, Array]
) -> dict[str, Array]:
    return values


def _pair(structure: Any) -> tuple[Any, Any]:
    return structure
