r"""A look around a fitted q for modes of the posterior that no draw of q has visited.

Climbers start far and near around q, follow log p upwards (L-BFGS, all at once), and
most come home to q. Where one settles elsewhere, its mode is given a normal of the
local curvature; whether that mode matters is then a question of importance weights,
see `verdict`. The looking is done in the coordinates of q, z = m + L v:

    starts   v = r · (a random direction, or one axis), r from 1 to 300 sds, half of
             them within 8;  −z of draws (signs);  within (−2, 2), as NumPyro starts

A narrow mode has a small basin, so that many positions are looked at; those climb whose
gradient points least to q.

What climbs home has begun somewhere, though, and the log density there is known.
Weighed by the density s(z) of the starts, Σ p/s says whether much of the mass, or of a
variance, is far around q without a mode of its own. Where it is, a normal of that mass
is given as a peak: draws of q, all of them in the middle, say nothing of it.

No search can promise to find all: a mode that is narrow in many dimensions has no
basin that a start could fall into.

References:
    Liu & Nocedal (1989), Math. Programming 45 (L-BFGS); Yao, Vehtari & Gelman (2022),
    JMLR 23(79), arXiv:2006.12335 (several modes, each fitted, stacked).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vijax.types import Key
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import BATCH, slopes_of_many
from vijax.vi.families import base
from vijax.vi.methods.newton import lower_root
from vijax.vi.targets.target import Target

MAX_DIM = 200  # unknowns, above which modes are not looked for
MAX_STARTS = 4096  # positions to climb from, fewer where the density is costly
MAX_CLIMBERS = 512  # of these, that climb
MAX_MODES = 8  # that are kept
FARTHEST, NEAR = 300.0, 8.0  # sds of q that all starts are away, and half of them
MUCH = 0.05  # of q's variance, that what is far around it has
LEAST_MET = 8  # effective starts that have met it
MOST_ABOVE = 50.0  # nats above q, that a density is believed to be
GOLDEN = 0.618033988749895  # multiples, less their whole parts, fill (0, 1) evenly
MEMORY = 8  # steps that L-BFGS remembers
Look = Callable[[Any], tuple[np.ndarray, np.ndarray]]


class Peaks(NamedTuple):
    """Peaks of log p that the search has found, and normals of their curvature."""

    loc: Any  # (peaks, dim)
    root: Any  # (peaks, dim, dim), covariance = root rootᵀ
    log_mass: Any  # (peaks,), by Laplace's formula, in nats
    hill: Any  # (peaks,), whether log p has a maximum there; else it is a wide tail


class Modes(NamedTuple):
    """Modes beside q's own, by importance weights."""

    loc: Any  # (modes, dim)
    root: Any  # (modes, dim, dim), covariance = root rootᵀ
    mass: Any  # (modes,), shares of the posterior's mass
    hill: Any  # (modes,), whether log p has a maximum there; else it is a wide tail


@np.errstate(all="ignore")
def find_modes(
    target: Target,
    q: Any,
    key: Key,
    *,
    num_starts: int,
    max_steps: int,
    skip_own: bool = True,
    surroundings: bool = False,
    beside_own: bool = False,
) -> Peaks:
    """Return the modes that climbers from around q arrive at.

    Args:
        target: the log density.
        q: a fitted distribution; its mean and sds give centre and units.
        key: of the starts.
        num_starts: positions that are looked at, of which 512 climb.
        max_steps: that each may take.
        skip_own: whether what is found within the bulk of q is left out.
        surroundings: whether mass far around q, where no mode is found, is a peak too.
        beside_own: whether `log_mass` is less that of q's own mode, by the same formula
            (which errs alike in all, where a scale has many unknowns below it).
    """
    like = target.init
    dim = like.shape[0]

    def look(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Batches of one size, which the fit has compiled.
        size = min(num_starts, BATCH)
        padded = np.resize(z, (-(-len(z) // size) * size, dim))
        seen = slopes_of_many(target, padded.astype(like.dtype))
        value, gradient = (x[: len(z)].astype(float) for x in seen)
        bad = ~np.isfinite(value) | ~np.isfinite(gradient).all(axis=1)
        return np.where(bad, -np.inf, value), np.where(bad[:, None], 0.0, gradient)

    centre = np.asarray(base.mean(q, like), float)
    scale = np.asarray(base.scale(q, like), float)
    starts = scatter(key, centre, scale, num_starts)
    home = _home_of(q, centre, scale, skip_own)
    seen = look(starts)
    chosen = _climbers(starts, seen[1], home)
    begun = starts[chosen], (seen[0][chosen], seen[1][chosen])
    z, value = climb(look, *begun, scale, home, max_steps)
    own = look(home.centres)[0]
    peaks = _distinct(look, z, value, np.max(own), home)
    if skip_own and len(peaks.loc):
        distances = [home.distances(loc[None])[:, 0] for loc in peaks.loc]
        nearest = [int(np.argmin(distance)) for distance in distances]
        apart = [
            _is_valley(look, home.centres[k], loc, own[k])
            for k, loc in zip(nearest, peaks.loc, strict=True)
        ]
        peaks = Peaks(*(x[np.array(apart)] for x in peaks))
    if beside_own and len(peaks.loc):
        mass = _own_mass(look, centre, scale, home, max_steps)
        peaks = peaks._replace(log_mass=peaks.log_mass - mass)
    if surroundings and not len(peaks.loc):
        at_centres = np.asarray(base.log_probs(q, home.centres.astype(like.dtype)))
        log_evidence = float(np.max(own - at_centres))
        # What is far above q's top, and no hill, is rounding.
        outside = ~home.holds(starts) & (seen[0] < np.max(own) + MOST_ABOVE)
        v = (starts - centre) / scale
        log_p = np.where(outside, seen[0], -np.inf) + np.sum(np.log(scale))
        return _surroundings(v, log_p - log_evidence, centre, scale) or peaks
    return peaks


def is_far(q: Any, like: Any, z: Any) -> Any:
    """Say which positions are outside of the bulk of q, where its draws are."""
    centre = np.asarray(base.mean(q, like), float)
    scale = np.asarray(base.scale(q, like), float)
    return ~_home_of(q, centre, scale, True).holds(np.asarray(z, float))


def _home_of(q: Any, centre: np.ndarray, scale: np.ndarray, skip_own: bool) -> "_Home":
    centres, roots = _places(q, centre, scale)
    return _Home(centres, np.linalg.inv(roots), scale, len(centre), skip_own)


def _places(q: Any, centre: np.ndarray, scale: np.ndarray) -> tuple[Any, Any]:
    """Return centres and roots of the normals that q is made of, one or several."""
    if not hasattr(q, "components"):
        return centre[None], np.diag(scale)[None]
    locs, roots = (np.asarray(x, float) for x in q.components())
    return locs, roots


class _Home(NamedTuple):
    """The region of q: what is found there is q's own mode, or one of its modes."""

    centres: np.ndarray  # (components, dim)
    inverse_roots: np.ndarray  # (components, dim, dim)
    scale: np.ndarray  # of all together
    dim: int
    skip_own: bool

    def distances(self, z: np.ndarray, order: float = np.inf) -> np.ndarray:
        """Return how many sds positions are away, the farthest coordinate of each.

        By order = 2.0 it is the Euclidean distance of all coordinates together.
        """
        places = zip(self.centres, self.inverse_roots, strict=True)
        return np.stack(
            [
                np.linalg.norm((z - centre) @ inverse.T, order, axis=1)
                for centre, inverse in places
            ]
        )

    def holds(self, z: np.ndarray) -> Any:
        """Say which positions are within the bulk of a component.

        Where draws of it are: within √dim + 3 sds, none of them farther along any one
        axis than its draws get. The corners of that box alone are far out of a ball.
        """
        rows = np.reshape(z, (-1, self.dim))
        inside = self.distances(rows) < 3.0 + np.sqrt(2 * np.log(1 + self.dim))
        inside &= self.distances(rows, order=2.0) < 3.0 + np.sqrt(self.dim)
        return np.reshape(inside.any(axis=0), z.shape[:-1]) & self.skip_own


def scatter(
    key: Key, centre: np.ndarray, scale: np.ndarray, num_starts: int
) -> np.ndarray:
    """Return where the climbers start, (num_starts, dim)."""
    dim = len(centre)
    direction = noise.normal(key, (num_starts, dim), "float32").astype(float)
    number = np.arange(num_starts)
    # Evenly over the logarithm, whatever else the number decides.
    place = 2 * (GOLDEN * number % 1)
    radius = np.where(place < 1, NEAR**place, FARTHEST ** (place - 1))
    kind = (number % 8)[:, None]
    one_axis = np.eye(dim)[number // 4 % dim] * direction
    around = np.where(kind % 4 == 0, one_axis, direction)
    z = centre + scale * radius[:, None] * around
    z = np.where(kind == 1, -(centre + scale * direction), z)
    return np.where(kind == 2, 2 * np.tanh(direction), z)


def radial(num_starts: int) -> np.ndarray:
    """Say which starts of `scatter` are a random direction times a radius."""
    number = np.arange(num_starts)
    return (number % 8 > 2) & (number % 4 != 0)


def _climbers(z: np.ndarray, gradient: np.ndarray, home: _Home) -> np.ndarray:
    """Return which starts climb: all, or the first ones and who is least drawn home.

    On a hill of q's own the gradient points to its top; in another basin to elsewhere.
    """
    number, half = len(z), MAX_CLIMBERS // 8
    if number <= MAX_CLIMBERS:
        return np.arange(number)
    cosines = np.full(number, -1.0)
    for centre, inverse in zip(home.centres, home.inverse_roots, strict=True):
        to_top = (centre - z) @ inverse.T
        slope = gradient @ np.linalg.inv(inverse)
        size = np.linalg.norm(to_top, axis=1) * np.linalg.norm(slope, axis=1)
        cosine = np.sum(to_top * slope, axis=1) / np.maximum(size, 1e-300)
        cosines = np.maximum(cosines, cosine)
    cosines[home.holds(z)] = np.inf
    cosines[:half] = np.inf
    return np.concatenate([np.arange(half), np.argsort(cosines)[: MAX_CLIMBERS - half]])


def climb(
    look: Look,
    z: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    scale: np.ndarray,
    home: _Home,
    max_steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow log p upwards from every start; return the ends and log p there.

    What is `seen` are log p and its gradient at the starts z. Who has settled, or is
    home, waits there, and costs nothing more.
    """
    ends, tops = z.copy(), seen[0].copy()
    here = np.flatnonzero(np.isfinite(tops) & ~home.holds(z))
    v, value, gradient = z[here] / scale, tops[here], seen[1][here] * scale
    share = np.ones(len(here))
    steps = np.zeros((0, *v.shape))
    turns = np.zeros((0, *v.shape))
    for _ in range(max_steps):
        if not len(here):
            break
        direction = _ascent(gradient, steps, turns)
        length = np.max(np.abs(direction), axis=1, keepdims=True)
        # A first step has no scale yet; later ones may not leave the map.
        longest = 1.0 if not len(steps) else 100.0
        direction *= np.minimum(1.0, longest / np.maximum(length, 1e-300))
        new = v + share[:, None] * direction
        new_value, new_gradient = look(scale * new)
        new_gradient = new_gradient * scale
        rise = share * np.sum(direction * gradient, axis=1)
        better = new_value >= value + 1e-4 * np.maximum(rise, 0)
        better &= np.isfinite(new_value)
        step = np.where(better[:, None], new - v, 0.0)
        turn = np.where(better[:, None], gradient - new_gradient, 0.0)
        steps = np.concatenate([steps, step[None]])[-MEMORY:]
        turns = np.concatenate([turns, turn[None]])[-MEMORY:]
        gain = new_value - value
        v = np.where(better[:, None], new, v)
        gradient = np.where(better[:, None], new_gradient, gradient)
        value = np.where(better, new_value, value)
        share = np.where(better, 1.0, 0.3 * share)
        ends[here], tops[here] = scale * v, value
        going = ~((better & (gain < 1e-3)) | (share < 1e-6) | home.holds(scale * v))
        here, v, value, gradient = here[going], v[going], value[going], gradient[going]
        share, steps, turns = share[going], steps[:, going], turns[:, going]
    return ends, tops


def _ascent(gradient: np.ndarray, steps: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return L-BFGS's direction for every climber, by the two-loop recursion."""
    direction = gradient.copy()
    curvature = np.sum(steps * turns, axis=2)
    good = curvature > 1e-10 * np.sum(turns**2, axis=2)
    rho = np.where(good, 1 / np.where(good, curvature, 1.0), 0.0)
    weights = []
    for s, y, r in zip(steps[::-1], turns[::-1], rho[::-1], strict=True):
        weight = r * np.sum(s * direction, axis=1)
        direction -= weight[:, None] * y
        weights.append(weight)
    gamma = np.ones(len(gradient))
    for s, y, ok in zip(steps, turns, good, strict=True):
        size = np.sum(y**2, axis=1)
        gamma = np.where(ok, np.sum(s * y, axis=1) / np.where(ok, size, 1.0), gamma)
    direction *= gamma[:, None]
    pairs = zip(steps, turns, rho, weights[::-1], strict=True)
    for s, y, r, weight in pairs:
        direction += (weight - r * np.sum(y * direction, axis=1))[:, None] * s
    uphill = np.sum(direction * gradient, axis=1, keepdims=True) > 0
    return np.where(uphill, direction, gradient)


def _surroundings(
    v: np.ndarray, log_p: np.ndarray, centre: np.ndarray, scale: np.ndarray
) -> Peaks | None:
    """Return a normal of the mass far around q, if that holds much of a variance.

    Args:
        v: all starts of the search, in sds of q from its centre.
        log_p: normalised log density there, as far as q is right; −∞ within its bulk.
        centre: mean of q.
        scale: its sds.
    """
    number, dim = v.shape
    chosen = radial(number)
    v, log_p = v[chosen], log_p[chosen]
    # Normals whose log sd is uniform between 0 and that of the farthest, or of half.
    middles = (np.arange(64) + 0.5) / 64
    log_sd = np.concatenate([np.log(end) * middles for end in (NEAR, FARTHEST)])
    squares = np.sum(v**2, axis=1)[:, None] * np.exp(-2 * log_sd)
    log_s = np.logaddexp.reduce(-0.5 * squares - dim * log_sd, axis=1)
    log_s -= np.log(len(log_sd)) + 0.5 * dim * base.LOG_2PI
    share = np.exp(np.minimum(log_p - log_s, MOST_ABOVE)) / len(v)
    second = share[:, None] * v**2
    most = second[:, np.argmax(np.sum(second, axis=0))]
    met = np.sum(most) ** 2 / np.maximum(np.sum(most**2), 1e-300)
    if not (np.sum(most) > MUCH and met >= LEAST_MET):
        return None
    mass = np.sum(share)
    mean = share @ v / mass
    spread = ((v - mean) * share[:, None]).T @ (v - mean) / mass
    # Drawn to a round one, which few starts know better than its shape.
    round_one = np.trace(spread) / dim * np.eye(dim)
    effective = mass**2 / np.sum(share**2)
    covariance = (effective * spread + (dim + 2) * round_one) / (effective + dim + 2)
    root = scale[:, None] * np.linalg.cholesky(covariance)
    loc = centre + scale * mean
    return Peaks(loc[None], root[None], np.log(mass)[None], np.zeros(1, bool))


def _distinct(
    look: Look, z: np.ndarray, value: np.ndarray, own: float, home: _Home
) -> Peaks:
    """Return the modes among the climbers' ends, each once, with their curvature."""
    dim = home.dim
    away = np.isfinite(value) & ~home.holds(z)
    best = np.max(np.append(value[away], own))
    away &= value > best - 15.0 - dim
    locs: list[Any] = []
    roots: list[Any] = []
    masses: list[Any] = []
    for _ in range(2 * MAX_MODES):
        if not away.any() or len(locs) == MAX_MODES:
            break
        first = np.argmax(np.where(away, value, -np.inf))
        loc, top, root = _polish(look, z[first], home.scale)
        away[first] = False
        v = np.linalg.solve(root, (z - loc).T).T if root is not None else np.inf * z
        away &= ~(np.sum(v**2, axis=1) < 25 + 3 * dim)
        known = any(_is_near(loc, *kept) for kept in zip(locs, roots, strict=True))
        if root is None or known or home.holds(loc):
            continue
        locs.append(loc)
        roots.append(root)
        masses.append(_laplace(top, root))
    shape = (len(locs), dim)
    return Peaks(
        np.reshape(locs, shape),
        np.reshape(roots, (*shape, dim)),
        np.array(masses),
        np.ones(len(locs), bool),
    )


def _laplace(top: float, root: np.ndarray) -> float:
    """Return the log mass of a normal of this height and width."""
    return top + 0.5 * len(root) * base.LOG_2PI + float(np.linalg.slogdet(root)[1])


def _own_mass(
    look: Look, centre: np.ndarray, scale: np.ndarray, home: _Home, max_steps: int
) -> float:
    """Return the log mass of q's own hill; −∞ where it has no top to be weighed."""
    start = centre[None]
    free = home._replace(skip_own=False)  # which lets climb on who is home
    ends, _ = climb(look, start, look(start), scale, free, max_steps)
    _, top, root = _polish(look, ends[0], scale)
    return -np.inf if root is None else _laplace(top, root)


def _is_valley(look: Look, here: np.ndarray, there: np.ndarray, own: float) -> bool:
    """Say whether log p falls between q's centre and a mode, by more than rounding.

    Where it does not, the mode is the top of q's own hill: so in a hierarchy, whose
    density is highest where its scale is small and little of the mass is.
    """
    share = np.linspace(0.0, 1.0, 17)[1:, None]
    values = look(here + share * (there - here))[0]
    return bool(np.min(values) < min(own, values[-1]) - 0.1)


def inner_half(z: np.ndarray, loc: Any, root: Any) -> Any:
    """Say which positions are where half of the draws of a normal are, the inner one.

    The median of χ² is by Wilson and Hilferty.
    """
    dim = len(loc)
    squares = np.sum(np.linalg.solve(root, (z - loc).T) ** 2, axis=0)
    return squares < dim * (1 - 2 / (9 * dim)) ** 3


def _is_near(z: np.ndarray, loc: np.ndarray, root: np.ndarray) -> bool:
    return bool(np.sum(np.linalg.solve(root, z - loc) ** 2) < 1.0)


def _polish(
    look: Look, z: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Take Newton steps to the top; return it, log p, and a root of the covariance."""
    dim, units, root, far = len(z), scale.copy(), np.eye(len(z)), np.inf
    value = look(z[None])[0][0]
    for number in range(6):
        sides = z + 0.03 * np.concatenate([np.diag(units), -np.diag(units)])
        slopes_at = look(sides)[1] * units
        hessian = -(slopes_at[:dim] - slopes_at[dim:]) / 0.06
        eigenvalues, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
        if not np.all(np.isfinite(eigenvalues)):
            return z, value, None
        size = np.maximum(np.abs(eigenvalues), 1e-4 * np.max(np.abs(eigenvalues)))
        root = units[:, None] * vectors / np.sqrt(np.maximum(size, 1e-30))
        gradient = look(z[None])[1][0]
        move = root @ (root.T @ gradient)
        units = np.sqrt(np.sum(root**2, axis=1))
        far = np.max(np.abs(move) / units)
        tries = z + move * np.array([1.0, 0.3, 0.1, 0.01])[:, None]
        values = look(tries)[0]
        if np.max(values) > value:
            z, value = tries[np.argmax(values)], np.max(values)
        if number and far < 0.1:
            break
    if far > 0.3:
        return z, value, None
    drop = value - look(z + np.concatenate([root.T, -root.T]))[0]
    # Of a normal it is ½ everywhere; of rounding errors, anything.
    hill = np.min(drop) > -0.05 and 0.1 < np.median(drop) < 3
    return z, value, lower_root(root) if hill else None
