r"""What a variational family is, so that a user's own is as good as those here.

A family is an object with one method, and what that method returns is a q:

    family.init(loc, scale) -> q, about a normal of these means and standard deviations

A q is a pytree of parameters (a NamedTuple, say) with at least

    q.transform(eps)  -> z(eps), eps ~ N(0, I), (..., dim): the reparametrisation
    q.log_prob(z)     -> log q(z) in nats, (..., dim) -> (...)

and, where there is a formula, `entropy()`, `mean()`, `scale()` and `affine(loc,
scale)`, the distribution of loc + scale z. Where one of the last three is missing, the
functions below take its place. A normal distribution of few unknowns may have
`coordinates()`, (m, s) with z = m + s v, v ~ N(0, I), s a vector or a lower triangular
matrix: then its checks compile nothing. Two attributes help the checks and may be left
out: `is_normal`, whether q is a normal distribution, and `richer`, the family to try
when q is too poor.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.array_module import array_module
from vijax.precision import full_precision
from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.engine.batched_density import by_batches
from vijax.vi.engine.compilation import light_jit

LOG_2PI = 1.8378770664093453
BATCH_ROWS = 1024  # of noise, or positions, that a q without coordinates gets at a time
NUM_MOMENT_DRAWS = 128  # that means and sds are taken from where there is no formula


@runtime_checkable
class Variational(Protocol):
    """A distribution q over ℝ^dim with parameters to optimise."""

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Map standard normal noise to draws."""

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z) in nats."""


@runtime_checkable
class Family(Protocol):
    """Makes a q to start from."""

    def init(self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]) -> Any:
        """Return a q that is about N(loc, diag(scale²))."""


class Affine(NamedTuple):
    """The distribution of loc + scale z, z ~ base, for a family without `affine`.

    The scale is a vector, or a lower triangular matrix.
    """

    base: Any
    loc: Float[Array, "..."]
    scale_of: Float[Array, "..."]

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Map standard normal noise to draws."""
        return self.loc + times(self.scale_of, self.base.transform(eps))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        scale = self.scale_of
        centred = z - self.loc
        if scale.ndim == 1:
            return self.base.log_prob(centred / scale) - jnp.sum(jnp.log(scale))
        rows = jnp.reshape(centred, (-1, scale.shape[0])).T
        x = solve_triangular(scale, rows, lower=True).T.reshape(z.shape)
        return self.base.log_prob(x) - jnp.sum(jnp.log(jnp.diag(scale)))


@full_precision
def times(scale: Any, x: Any) -> Any:
    """Return scale · x, the scale a vector (of a diagonal) or a matrix.

    Example:
        >>> times(jnp.array([1.0, 2.0]), jnp.ones(2)).tolist()
        [1.0, 2.0]
    """
    return scale * x if scale.ndim == 1 else x @ scale.T


def normal_draws(key: Key, num_samples: int, like: Float[Array, " dim"]) -> Array:
    """Return (num_samples, dim) standard normal numbers of the type of `like`."""
    return jax.random.normal(key, (num_samples, *like.shape), like.dtype)


def sample(q: Any, key: Key, num_samples: int, like: Float[Array, " dim"]) -> Array:
    """Draw from q, (num_samples, dim); `like` gives dimension and type."""
    return q.transform(normal_draws(key, num_samples, like))


def mean(q: Any, like: Any) -> Any:
    """Return the means of q: its formula, or those of fixed draws."""
    if hasattr(q, "coordinates"):
        return q.coordinates()[0]
    return _moments_of(q, like)[0]


@np.errstate(all="ignore")
def scale(q: Any, like: Any) -> Any:
    """Return the standard deviations of q: its formula, or those of fixed draws."""
    if hasattr(q, "coordinates"):
        _, scale = q.coordinates()
        return scale if scale.ndim == 1 else (scale**2).sum(axis=1) ** 0.5
    return _moments_of(q, like)[1]


@light_jit
def _moments_of(q: Any, like: Any) -> tuple[Array, Array]:
    draws = fixed_draws(q, like)  # unused, and left out, where there are formulas
    loc = q.mean() if hasattr(q, "mean") else jnp.mean(draws, axis=0)
    return loc, q.scale() if hasattr(q, "scale") else jnp.std(draws, axis=0)


def affine(q: Any, loc: Any, scale: Any) -> Any:
    """Return the distribution of loc + scale z, z ~ q."""
    if hasattr(q, "coordinates"):
        return q.affine(loc, scale)
    return _affine(q, loc, scale)


@light_jit
def _affine(q: Any, loc: Any, scale: Any) -> Any:
    return q.affine(loc, scale) if hasattr(q, "affine") else Affine(q, loc, scale)


def is_normal(q: Any) -> bool:
    """Say whether q is a normal distribution, with `loc` for its centre."""
    return bool(getattr(q, "is_normal", False))


@np.errstate(all="ignore")
def placed(q: Any, eps: Any) -> Any:
    """Return draws of q from noise, (draws, dim): by NumPy outside of a trace."""
    if hasattr(q, "coordinates"):
        loc, scale = q.coordinates()
        return loc + times(scale, eps)
    return _on_host(_transform, q, eps)


@np.errstate(all="ignore")
def log_probs(q: Any, z: Any) -> Any:
    """Return log q at positions, (draws, dim): by NumPy outside of a trace.

    Example:
        >>> from vijax.vi.families.gaussian import MeanField
        >>> q = MeanField().init(jnp.zeros(1), jnp.ones(1))
        >>> log_probs(q, np.zeros((1, 1))).round(6)
        array([-0.918939])
    """
    if not hasattr(q, "coordinates"):
        return _on_host(_log_prob, q, z)
    loc, scale = q.coordinates()
    xp = array_module(loc, scale, z)
    if scale.ndim == 1:
        return normal_log_prob((z - loc) / scale, xp.sum(xp.log(scale)))
    eps = xp.linalg.solve(scale, (z - loc).T).T
    return normal_log_prob(eps, xp.sum(xp.log(xp.abs(xp.diag(scale)))))


def _on_host(program: Any, q: Any, rows: Any) -> Any:
    """Return program(q, rows), outside of a trace in batches of one size."""
    if is_traced(q, rows):
        return program(q, rows)
    return by_batches(program, q, rows, BATCH_ROWS)


@jax.jit
def _transform(q: Any, eps: Any) -> Array:
    drawn: Array = q.transform(eps)
    return drawn


@jax.jit
def _log_prob(q: Any, z: Any) -> Array:
    found: Array = q.log_prob(z)
    return found


def normal_log_prob(eps: Any, log_det: Any) -> Any:
    """Return log N(z) of z = loc + L ε from ε and log det L.

    Example:
        >>> round(normal_log_prob(jnp.zeros(1), jnp.array(0.0)).item(), 6)
        -0.918939
    """
    return -0.5 * array_module(eps).sum(eps**2 + LOG_2PI, axis=-1) - log_det


def fixed_draws(q: Any, like: Float[Array, " dim"]) -> Float[Array, "draws dim"]:
    """Return the draws of q that its moments are taken from.

    Their noise is the same for every q, antithetic and of unit variance: points of
    integration, not random numbers, hence no key.
    """
    half = np.random.default_rng(0).normal(size=(NUM_MOMENT_DRAWS // 2, like.shape[0]))
    eps = np.concatenate([half, -half])
    return q.transform(jnp.asarray(eps / eps.std(axis=0), like.dtype))
