r"""Which unknowns of a target are independent of each other, given a few of them.

    structure = find_structure(target)
    structure.globals    coordinates that everything may depend on: dense
    structure.groups     locals: many small blocks, or chains, given the globals

The Hessian of log p says so: ∂² log p / ∂z_i ∂z_j is zero everywhere where z_i and z_j
are independent given all others. Which entries are zero is guessed from the shapes of
the unknowns (an array's entries, or its rows, on their own; or neighbours along an axis
that meet), and each guess is held against products of the Hessian with random vectors,
at random positions: a guess that leaves out an entry does not reproduce them. So it is
the density itself that decides, not how the model is written, and a likelihood outside
of its plate (`z[group]`) is no obstacle.

References:
    Curtis, Powell & Reid (1974), IMA J. Appl. Math. 13(1) (a sparse matrix from few
    products); Kristensen et al. (2016), J. Stat. Softw. 70(5) (what it is good for).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.validate import is_traced
from vijax.vi.targets.structure.hessians import hessian_product
from vijax.vi.targets.target import Site, Target

LEAST_LOCAL = 8  # entries, below which an unknown counts as global
MAX_GLOBALS = 200
MAX_WIDTH = 12  # of a block or a band
MAX_INTEGRATED = 8  # unknowns of a part that quadrature is taken for
MAX_RANGES = 16  # that a vector is put together from
LAGS = (1, 2)  # of chains
NUM_POSITIONS = 2
SHRINKING = (0.5, 0.1, 0.01)  # sds of the random positions that are tried

Ranges = tuple[tuple[int, int], ...]  # (start, stop) of each


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["index"],
    meta_fields=["bandwidth", "is_normal"],
)
@dataclass(frozen=True)
class Group:
    """Coordinates that fall into independent parts, each with a banded Hessian."""

    index: Int[Array, "parts rows"]  # into the unconstrained vector
    bandwidth: int  # rows of one part that are further apart do not meet
    is_normal: bool = True  # whether the parts are, given the globals

    @property
    def num_colours(self) -> int:
        """Products with the Hessian that all its bands are read from."""
        return min(self.index.shape[1], 2 * self.bandwidth + 1)

    @property
    def integrated(self) -> bool:
        """Whether the parts are integrated over by quadrature."""
        return not self.is_normal and self.index.shape[1] <= MAX_INTEGRATED

    @property
    def corrected(self) -> bool:
        """Whether the parts' normals are corrected to the next order."""
        return not self.is_normal and not self.integrated

    @property
    def is_chain(self) -> bool:
        """Whether some rows of a part do not meet."""
        return self.index.shape[1] > self.bandwidth + 1

    def seed(self, colour: int) -> np.ndarray:
        """Return the vector, (rows,) in every part, whose product shows one colour."""
        rows = np.arange(self.index.shape[1])
        return (rows % self.num_colours == colour) & (colour < self.num_colours)

    def bands(
        self, products: Float[Array, "colours parts rows"]
    ) -> Float[Array, "parts rows width"]:
        """Return the lower bands of a matrix from its products with the seeds."""
        rows = np.arange(self.index.shape[1])[:, None]
        columns = rows - np.arange(self.bandwidth + 1)
        by_row = jnp.moveaxis(products, 0, -1)
        found = by_row[:, rows, columns % self.num_colours]
        return jnp.where(columns >= 0, found, 0.0)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["globals", "groups", "places"],
    meta_fields=["joined", "parted"],
)
@dataclass(frozen=True)
class Structure:
    """The coordinates of a target, parted; see the module's docstring.

    XLA picks entries one by one, and in a gradient adds them up one by one; so where
    an order is that of a few ranges, these are copied.
    """

    globals: Int[Array, " globals"]
    groups: tuple[Group, ...]
    places: Int[Array, " dim"]  # of each coordinate, in globals and groups on end
    joined: Ranges = ()  # the same as ranges; none where they are many
    parted: Ranges = ()  # of each entry of globals and groups on end, as ranges

    @property
    def num_colours(self) -> int:
        """Products with the Hessian that all groups' bands are read from."""
        return max((group.num_colours for group in self.groups), default=0)

    def join(self, globals_: Array, locals_: tuple[Array, ...]) -> Array:
        """Put a vector together from its parts: the inverse of `split`."""
        flat = jnp.concatenate([globals_, *(jnp.ravel(part) for part in locals_)])
        return _copied(flat, self.joined) if self.joined else flat[self.places]

    def split(self, position: Array) -> tuple[Array, tuple[Array, ...]]:
        """Part a vector into its globals, and the locals of each group."""
        if self.parted:
            return self.cut(_copied(position, self.parted))
        parts = tuple(position[group.index] for group in self.groups)
        return position[self.globals], parts

    def cut(self, flat: Array) -> tuple[Array, tuple[Array, ...]]:
        """Cut globals and groups on end into pieces."""
        shapes = [group.index.shape for group in self.groups]
        stops = np.cumsum([self.globals.size, *(rows * n for rows, n in shapes)])
        first, *parts = jnp.split(flat, stops[:-1])
        pairs = zip(parts, shapes, strict=True)
        return first, tuple(jnp.reshape(part, shape) for part, shape in pairs)

    def __str__(self) -> str:
        parts = [f"{self.globals.size} globals"]
        for group in self.groups:
            number, rows = group.index.shape
            kind = f"chains of bandwidth {group.bandwidth}," if group.is_chain else ""
            parts.append(f"{number} × {rows} locals {kind}".strip(" ,"))
        return ", ".join(parts)


class _Layout:
    """A guess: the rows of each part as NumPy's indices, and how far they meet."""

    def __init__(self, index: np.ndarray, bandwidth: int) -> None:
        self.index = index
        self.bandwidth = min(bandwidth, index.shape[1] - 1)

    def group(self) -> Group:
        return Group(jnp.asarray(self.index, jnp.int32), self.bandwidth)


def find_structure(target: Target) -> Structure:
    """Find which unknowns are global, and into which parts the others fall.

    Arrays of 8 entries or more are tried as locals, the finest layout first: entries
    on their own; rows along an axis; chains along an axis with neighbours that meet,
    or second neighbours. Arrays that meet each other share their parts, or the smaller
    one becomes global.

    Raises:
        ValueError: inside a trace; for a model that subsamples; where more than 200
            unknowns would be global.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> def log_density(p):
        ...     spread = jnp.exp(-2 * p["log_tau"]) * jnp.sum(p["z"] ** 2)
        ...     return -0.5 * spread - 9 * p["log_tau"] - 0.5 * p["log_tau"] ** 2
        >>> init = {"log_tau": 0.0, "z": jnp.zeros(9)}
        >>> print(find_structure(from_log_density(log_density, init)))
        1 globals, 9 × 1 locals
    """
    if is_traced(target) or target.subsampled:
        raise ValueError(
            'family = "structured" looks at the density to find what is independent, '
            "which it cannot inside jit or vmap, nor where the model subsamples: call "
            'vi.fit outside of them, or take family = "low_rank"'
        )
    probe = _Probe(target)
    sites = _Sites(target)
    layouts: dict[tuple[str, ...], _Layout] = {}
    for site in target.static.sites:
        found = probe.first_that_holds(_layouts_of_one(sites, site))
        if found is not None and site.size >= LEAST_LOCAL:
            layouts[(site.name,)] = found
    layouts = _without_meetings(probe, sites, layouts)
    structure = _structure(target.dim, list(layouts.values()))
    number = structure.globals.size
    if number > MAX_GLOBALS or not probe.holds(list(layouts.values())):
        names = [
            name for name in sites.index if not any(name in key for key in layouts)
        ]
        raise ValueError(
            f'family = "structured" is not valid for {target}: {number} of its '
            f"unknowns ({', '.join(names[:6])}) depend on each other in no way it "
            "knows, and 200 may. Write what is independent given the others as arrays "
            "along one axis (a plate's unknowns as one site; a chain's states, not "
            'their increments), or take family = "low_rank"'
        )
    return structure


class _Sites:
    """Where each unknown lies in the unconstrained vector, in its shape."""

    def __init__(self, target: Target) -> None:
        self.index: dict[str, np.ndarray] = {}
        start = 0
        for site in target.static.sites:
            self.index[site.name] = np.arange(start, start + site.size).reshape(
                site.shape
            )
            start += site.size


def _layouts_of_one(sites: _Sites, site: Site) -> Iterator[_Layout]:
    """Yield guesses for one array, the finest first."""
    index = sites.index[site.name]
    if site.size < LEAST_LOCAL:
        return
    yield _Layout(index.reshape(-1, 1), 0)
    by_axis = [np.moveaxis(index, axis, 0) for axis in range(index.ndim)]
    by_axis = [rows.reshape(len(rows), -1) for rows in by_axis]
    for rows in by_axis:
        if 1 < rows.shape[1] <= MAX_WIDTH + 1 and len(rows) > 1:
            yield _Layout(rows, rows.shape[1] - 1)
    for lag in LAGS:
        for rows in by_axis:
            if len(rows) > lag + 1:
                yield _Layout(rows.T, lag)
    for lag in LAGS:
        for rows in by_axis:
            if rows.shape[1] > 1:
                yield from _chain(rows, lag)


def _layouts_of_several(arrays: list[np.ndarray]) -> Iterator[_Layout]:
    """Yield guesses for arrays that meet: along a common axis."""
    for number in sorted(set(arrays[0].shape), reverse=True):
        if number < 2 or not all(number in array.shape for array in arrays):
            continue
        parts = []
        for array in arrays:
            rows = np.moveaxis(array, array.shape.index(number), 0)
            parts.append(rows.reshape(number, -1))
        rows = np.concatenate(parts, axis=1)
        if rows.shape[1] <= MAX_WIDTH + 1:
            yield _Layout(rows, rows.shape[1] - 1)
        for lag in LAGS:
            yield from _chain(rows, lag)


def _chain(rows: np.ndarray, lag: int) -> Iterator[_Layout]:
    """Yield one chain of whole rows, of which each meets the `lag` next ones."""
    bandwidth = (lag + 1) * rows.shape[1] - 1
    if bandwidth <= MAX_WIDTH and len(rows) > lag + 1:
        yield _Layout(rows.reshape(1, -1), bandwidth)


def _without_meetings(
    probe: "_Probe", sites: _Sites, layouts: dict[tuple[str, ...], _Layout]
) -> dict[tuple[str, ...], _Layout]:
    """Join layouts whose arrays meet; where that fails the smallest becomes global."""
    while True:
        met = probe.first_meeting(layouts)
        if met is None:
            return layouts
        names = met[0] + met[1]
        rest = {key: value for key, value in layouts.items() if key not in met}
        arrays = [sites.index[name] for name in names]
        joint = probe.first_that_holds(_layouts_of_several(arrays))
        if joint is not None:
            layouts = rest | {names: joint}
        else:
            least = min(met, key=lambda key: layouts[key].index.size)
            layouts = {key: value for key, value in layouts.items() if key != least}


def _structure(dim: int, layouts: list[_Layout]) -> Structure:
    local = np.zeros(dim, bool)
    for layout in layouts:
        local[layout.index] = True
    globals_ = np.flatnonzero(~local)
    flat = np.concatenate([globals_, *(layout.index.ravel() for layout in layouts)])
    return Structure(
        jnp.asarray(globals_, jnp.int32),
        tuple(layout.group() for layout in layouts),
        jnp.asarray(places := np.argsort(flat), jnp.int32),
        ranges_of(places),
        ranges_of(flat),
    )


def ranges_of(index: np.ndarray) -> Ranges:
    """Return the ranges (start, stop) that an index consists of; () where many.

    Example:
        >>> ranges_of(np.array([3, 0, 1, 2]))
        ((3, 4), (0, 3))
    """
    begins = np.flatnonzero(np.diff(index, prepend=-2) != 1)
    lengths = np.diff(begins, append=len(index))
    if len(begins) > MAX_RANGES:
        return ()
    pairs = zip(index[begins].tolist(), lengths.tolist(), strict=True)
    return tuple((start, start + length) for start, length in pairs)


def _copied(x: Array, ranges: Ranges) -> Array:
    return jnp.concatenate([x[start:stop] for start, stop in ranges])


class _Probe:
    """Products of the Hessian at random positions, to hold guesses against."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.rng = np.random.default_rng(0)
        self.positions = [self._position() for _ in range(NUM_POSITIONS)]

    def product(self, position: Any, vector: np.ndarray) -> np.ndarray:
        """Return H v at a position."""
        given = jnp.asarray(vector, self.target.init.dtype)
        return np.asarray(_product(self.target, position, given), float)

    def first_that_holds(self, layouts: Iterator[_Layout]) -> _Layout | None:
        """Return the first of the guesses that holds by itself."""
        return next((layout for layout in layouts if self.holds([layout])), None)

    def holds(self, layouts: list[_Layout]) -> bool:
        """Say whether the guesses together reproduce H v, for v on their rows."""
        return all(self._holds_at(position, layouts) for position in self.positions)

    def first_meeting(
        self, layouts: dict[tuple[str, ...], _Layout]
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return two layouts between which the Hessian is not zero."""
        keys = list(layouts)
        for number, key in enumerate(keys[:-1]):
            for position in self.positions:
                vector = np.zeros(self.target.dim)
                index = layouts[key].index
                vector[index] = self.rng.normal(size=index.shape)
                answer = np.abs(self.product(position, vector))
                rounding = 1e-6 * np.max(answer)
                for other in keys[number + 1 :]:
                    if np.max(answer[layouts[other].index]) > rounding:
                        return key, other
        return None

    def _holds_at(self, position: Any, layouts: list[_Layout]) -> bool:
        groups = [layout.group() for layout in layouts]
        colours = max((group.num_colours for group in groups), default=0)
        products = []
        for colour in range(colours):
            vector = np.zeros(self.target.dim)
            for group, layout in zip(groups, layouts, strict=True):
                vector[layout.index] = group.seed(colour)
            products.append(self.product(position, vector))
        vector = np.zeros(self.target.dim)
        for layout in layouts:
            vector[layout.index] = self.rng.normal(size=layout.index.shape)
        answer = self.product(position, vector)
        largest = np.max(np.abs(answer), initial=0.0)
        for group, layout in zip(groups, layouts, strict=True):
            shown = jnp.asarray([product[layout.index] for product in products])
            bands, x = np.asarray(group.bands(shown)), vector[layout.index]
            expected = _times(bands, x)
            size = _times(np.abs(bands), np.abs(x))
            off = np.abs(answer[layout.index] - expected)
            if not np.all(off <= 1e-4 * size + 1e-6 * largest):
                return False
        return True

    def _position(self) -> Any:
        """Return a random position where the Hessian is finite."""
        init = np.asarray(self.target.init)
        for spread in SHRINKING:
            noise = self.rng.normal(size=init.shape)
            position = jnp.asarray(init + spread * noise, init.dtype)
            if np.all(np.isfinite(self.product(position, noise))):
                return position
        return self.target.init


def _times(bands: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the product of a symmetric banded matrix with x."""
    total = bands[:, :, 0] * x
    for k in range(1, bands.shape[-1]):
        total[:, k:] += bands[:, k:, k] * x[:, :-k]
        total[:, :-k] += bands[:, k:, k] * x[:, k:]
    return total


@jax.jit
def _product(target: Target, position: Array, vector: Array) -> Array:
    return hessian_product(target.log_density, position)(vector)
