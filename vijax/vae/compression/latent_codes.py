r"""How latents are coded: whole numbers on a grid, under q(z | x) and under the prior.

For the prior N(0, I) the grid is that of z. For one that is made of N(0, I) by a map f,
a flow or layers, it is that of u = f⁻¹(z), whose prior is N(0, I) again. For a mixture
of normals it is z's, and a component k is coded with z: it is taken off the stack from
p(k | z), then z is put under component k and k under the weights, which together costs
-log p(z).

The coder wants a normal with a diagonal covariance for q. Where q is none, or u is not
z, it is the one closest to q (in KL from it to q) at its centre: with ε -> u the map
from q's noise to the grid and B its derivative at ε = 0, the variances are one over the
diagonal of (B Bᵀ)⁻¹. What comes back is exact whatever q is; the rate is this normal's.
A q that goes down a ladder is coded group by group, each group's normal given the
groups above: nothing is lost there.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import constriction
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vae.models.posteriors import Posterior
from vijax.vae.models.priors import MixturePrior, StandardNormal
from vijax.vae.models.residual_ladders import DescendingPosterior
from vijax.validate import check

MAX_LATENT = 8.0  # standard deviations of the prior that the grid spans
MIN_STEP = MAX_LATENT * 2.0**-18  # the coder's probabilities have 24 bits
MIN_SCALE = 0.05  # of q, in steps of the grid
_ROOT_2_PI = np.sqrt(2 * np.pi)


# (a part of z, its q) -> the grid's numbers, (draws, rows, latents of the part)
Choose = Callable[[slice, np.ndarray], np.ndarray]


class Latents:
    """The grid of latents and the distributions on it.

    Raises:
        ValueError: a prior that is no mixture of normals with diagonal covariances, and
            that no map makes of N(0, I).
    """

    def __init__(
        self, model: VAE, params: ModelParams, batch_size: int, latent_step: float
    ) -> None:
        self.model, self.params = model, params
        self.batch_size, self.step = batch_size, latent_step
        self.mixture = mixture_of(model, params)
        widest = MAX_LATENT
        if self.mixture is not None:
            _, loc, scale = self.mixture
            widest = max(widest, float(np.max(np.abs(loc) + MAX_LATENT * scale)))
        self.span = min(round(widest / latent_step), 2**20)
        self.code = constriction.stream.model.QuantizedGaussian(-self.span, self.span)
        self.which = constriction.stream.model.Categorical(perfect=False)
        q = jax.eval_shape(
            partial(autoencoders.encode, model),
            params,
            jax.ShapeDtypeStruct((1, *model.shape), jnp.float32),
        )
        on_z = model.prior.name == "standard normal" or self.mixture is not None
        self.descends = on_z and isinstance(q, DescendingPosterior)
        self.groups = q.groups() if self.descends else []
        self.parts = [group.part for group in self.groups] or [slice(0, model.latent)]

    def put(self, stack: Any, z: Int[np.ndarray, " n"], *, nothing_back: bool) -> None:
        """Code the grid's numbers under the prior.

        Args:
            stack: that they are put on.
            z: of all latents of some examples.
            nothing_back: choose each mixture's component without the stack.
        """
        k = None
        if self.mixture is not None:
            p = self._responsibilities(z)
            likely = np.argmax(p, axis=1).astype(np.int32)
            k = likely if nothing_back else stack.decode(self.which, p)
        stack.encode_reverse(z, self.code, *self._prior(len(z), k))
        if k is not None:
            stack.encode_reverse(k, self.which, self._weights(len(k)))

    def take(
        self, stack: Any, num_rows: int, *, nothing_back: bool
    ) -> Int[np.ndarray, " n"]:
        """Undo `put` for so many examples, and return the numbers."""
        k = None
        if self.mixture is not None:
            k = stack.decode(self.which, self._weights(num_rows))
        z = stack.decode(self.code, *self._prior(num_rows * self.model.latent, k))
        if k is not None and not nothing_back:
            stack.encode_reverse(k, self.which, self._responsibilities(z))
        return z

    def posterior(self, x: np.ndarray) -> Float[np.ndarray, "2 n"]:
        """Return q's mean and scale for each latent, in steps of the grid."""
        parts = _posterior(self.model, self.params, fill(x, self.batch_size))
        return self._in_steps(*(np.asarray(part)[: len(x)] for part in parts))

    def widths(self, x: np.ndarray) -> Float[np.ndarray, "rows latent"]:
        """Return how wide q is about, in steps of the grid: what draws will take.

        Of a ladder it is the prior's width, which hardly a group exceeds.
        """
        if self.descends:
            return np.full((len(x), self.model.latent), 1 / self.step)
        return self.posterior(x)[1].reshape(len(x), -1)

    def go_through(
        self, x: np.ndarray, choose: Choose, *, num_draws: int = 1
    ) -> Float[np.ndarray, "2 draws rows latent"]:
        """Choose draws of z part by part, each by q given the parts before.

        A q of one normal is one part; one that goes down a ladder has many. What a
        decoder finds is the same to the bit: the same programs see the same numbers.

        Args:
            x: what the encoder network sees, of some rows.
            choose: of a part of z and its q, mean and scale in steps of the grid,
                (2, draws, rows, latents of the part); returns the grid's numbers.
            num_draws: of each row.

        Returns:
            q's mean and scale of all parts, in steps of the grid.
        """
        shape = num_draws, len(x), -1
        if not self.descends:
            moments = self.posterior(x).reshape(2, 1, len(x), -1)
            moments = np.repeat(moments, num_draws, axis=1)
            choose(self.parts[0], moments)
            return moments
        chunks = self._chunks(np.tile(x, (num_draws, *[1] * (x.ndim - 1))))
        begin = partial(_begin, self.model, self.params)
        begun = [begin(fill(chunk, self.batch_size)) for chunk in chunks]
        q_of, maps_of = [q for q, _ in begun], [maps for _, maps in begun]
        found = []
        for scale, number, part in self.groups:
            at, below = partial(_moments, scale, number), partial(_below, scale, number)
            parts = [
                self._in_steps(*(np.asarray(m)[: len(chunk)] for m in at(q, maps)))
                for chunk, q, maps in zip(chunks, q_of, maps_of, strict=True)
            ]
            moments = np.concatenate(parts, axis=1).reshape(2, *shape)
            found.append(moments)
            z = self._coordinates(choose(part, moments), part.stop - part.start)
            maps_of = [
                below(q, maps, fill(own, self.batch_size))
                for q, maps, own in zip(q_of, maps_of, self._chunks(z), strict=True)
            ]
        return np.concatenate(found, axis=-1)

    def _chunks(self, rows: np.ndarray) -> list[np.ndarray]:
        starts = range(0, len(rows), self.batch_size)
        return [rows[i : i + self.batch_size] for i in starts]

    def _in_steps(self, loc: np.ndarray, scale: np.ndarray) -> Float[np.ndarray, "2 n"]:
        """Return mean and scale in steps of the grid, within what it holds."""
        loc, scale = (
            np.asarray(part, float).ravel() / self.step for part in (loc, scale)
        )
        check_finite("q(z | x)", loc, scale)
        loc = np.clip(loc, -self.span, self.span)
        return np.stack([loc, np.maximum(scale, MIN_SCALE)])

    def weights(
        self, x: np.ndarray, z: Int[np.ndarray, "draws rows latent"], q: np.ndarray
    ) -> Float[np.ndarray, "rows draws"]:
        """Return the weights p(x, z) / q(z | x) of several draws, which sum to 1.

        Args:
            x: what the encoder network sees.
            z: the grid's numbers.
            q: mean and scale for each latent of a draw, in steps of the grid.
        """
        loc, scale = q
        each = -0.5 * ((z - loc) / scale) ** 2 - np.log(_ROOT_2_PI * scale)
        # The coder gives 2⁻²⁴ to every number of the grid: draws far out do happen, and
        # a normal's density there would make them look as if they were worth it.
        log_q = np.sum(np.maximum(each, -24 * np.log(2)), axis=-1)
        u = self._coordinates(z)
        joint = partial(_log_joint, self.model, self.params)
        x = np.tile(x, (len(z), *[1] * (x.ndim - 1)))
        log_p = by_batches(joint, self.batch_size, x, self.values(z), u)
        log_w = log_p.reshape(log_q.shape).astype(float) - log_q
        check_finite("log p(x, z)", log_w)
        w = np.exp(log_w - log_w.max(axis=0))
        return np.ascontiguousarray((w / w.sum(axis=0)).T.astype(np.float32))

    def rounded(self, x: np.ndarray) -> Int[np.ndarray, " n"]:
        """Return the grid's numbers nearest to q's mean, part by part."""
        parts: list[np.ndarray] = []

        def nearest(part: slice, q: np.ndarray) -> np.ndarray:
            parts.append(np.rint(q[0, 0]).astype(np.int32))
            return parts[-1]

        self.go_through(x, nearest)
        return np.concatenate(parts, axis=-1).ravel()

    def values(self, z: np.ndarray) -> Float[np.ndarray, "rows latent"]:
        """Return the latents that the decoder sees at the grid's numbers."""
        u = self._coordinates(z)
        if self.model.prior.name == "standard normal" or self.mixture is not None:
            return u
        from_coordinates = partial(_from_coordinates, self.model, self.params)
        return by_batches(from_coordinates, self.batch_size, u)

    def _coordinates(
        self, z: np.ndarray, width: int | None = None
    ) -> Float[np.ndarray, "rows latent"]:
        width = width or self.model.latent
        return (z.reshape(-1, width) * self.step).astype(np.float32)

    def _prior(
        self, size: int, k: Int[np.ndarray, " rows"] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale for each latent, in steps of the grid."""
        if k is None or self.mixture is None:
            return np.zeros(size), np.full(size, 1 / self.step)
        _, loc, scale = self.mixture
        loc = np.clip(loc[k].ravel() / self.step, -self.span, self.span)
        return loc, np.maximum(scale[k].ravel() / self.step, MIN_SCALE)

    def _weights(self, num_rows: int) -> Float[np.ndarray, "rows components"]:
        assert self.mixture is not None
        p = np.exp(self.mixture[0] - self.mixture[0].max())
        return np.tile((p / p.sum()).astype(np.float32), (num_rows, 1))

    def _responsibilities(self, z: np.ndarray) -> Float[np.ndarray, "rows components"]:
        """Return p(k | z)."""
        u = self._coordinates(z)
        p = _which(self.model, self.params, fill(u, self.batch_size))
        check_finite("p(k | z)", p)
        return np.asarray(p)[: len(u)]


def check_finite(name: str, *numbers: Any) -> None:
    """Raise a ValueError where a network gives no number: the coder would panic.

    Parameters may be finite, and yet so large that this is so.
    """
    remedy = "the networks overflow: train at a lower rate, scale the data"
    for part in numbers:
        check(np.isfinite(part), name, part, remedy)


def mixture_of(
    model: VAE, params: ModelParams
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return logits, means and scales of a mixture's components, None for a map.

    Raises:
        ValueError: as `Latents`.
    """
    if model.num_covariates:
        raise ValueError("a conditional model codes no rows: covariates are no data")
    p = jax.jit(autoencoders.prior_of, static_argnums=0)(model, params)
    if isinstance(p, MixturePrior) and isinstance(p.components, Posterior):
        loc, log_scale = (np.asarray(part, float) for part in p.components)
        check_finite("the prior", p.logits, loc, log_scale)
        return np.asarray(p.logits, float), loc, np.exp(log_scale)
    if not (hasattr(p, "transform") and hasattr(p, "inverse")):
        raise ValueError(
            f"the model's prior, {model.prior.name}, has no code: latents are coded "
            "under N(0, I), a flow, layers under these two, or a mixture of normals "
            "with diagonal covariances"
        )
    return None


def by_batches(
    apply: Callable[..., Array], batch_size: int, *rows: np.ndarray
) -> np.ndarray:
    """Apply a function of rows to so many rows at a time."""
    starts = range(0, len(rows[0]), batch_size)
    parts = [
        np.asarray(
            apply(*(fill(part[i : i + batch_size], batch_size) for part in rows))
        )
        for i in starts
    ]
    return np.concatenate(parts)[: len(rows[0])]


def fill(rows: np.ndarray, batch_size: int) -> Float[np.ndarray, "batch ..."]:
    """Fill up a batch with zeros, so that networks compile for one shape only."""
    filled = np.zeros((batch_size, *rows.shape[1:]), np.float32)
    filled[: len(rows)] = rows
    return filled


@partial(jax.jit, static_argnums=0)
def _posterior(model: VAE, params: ModelParams, x: Array) -> tuple[Array, Array]:
    q, p = autoencoders.encode(model, params, x), autoencoders.prior_of(model, params)
    on_z = isinstance(p, StandardNormal | MixturePrior)
    if on_z and isinstance(q, Posterior):
        return q.loc, jnp.exp(q.log_scale)
    inverse = (lambda z: z) if on_z else p.inverse

    def one(row: Array) -> tuple[Array, Array]:
        own = q.take(row[None])  # one example, so that the derivative is small

        def coordinates(noise: Array) -> Array:
            found: Array = inverse(own.transform(noise[None]))[0]
            return found

        zero = jnp.zeros(model.latent, x.dtype)
        slope = jnp.linalg.inv(jax.jacfwd(coordinates)(zero))
        return coordinates(zero), 1 / jnp.linalg.norm(slope, axis=0)

    return jax.lax.map(one, jnp.arange(len(x)))


@partial(jax.jit, static_argnums=0)
def _begin(model: VAE, params: ModelParams, x: Array) -> tuple[Any, Array]:
    q = autoencoders.encode(model, params, x)
    return q, q.first_maps()


@partial(jax.jit, static_argnums=0)
def _moments(
    scale: int, number: ArrayLike, q: DescendingPosterior, maps: Array
) -> tuple[Array, Array]:
    found = q.moments(scale, number, maps)
    return found.loc, jnp.exp(found.log_scale)


@partial(jax.jit, static_argnums=0)
def _below(
    scale: int, number: ArrayLike, q: DescendingPosterior, maps: Array, z: Array
) -> Array:
    return q.advanced(scale, number, maps, z)


@partial(jax.jit, static_argnums=0)
def _from_coordinates(model: VAE, params: ModelParams, u: Array) -> Array:
    z: Array = autoencoders.prior_of(model, params).transform(u)
    return z


@partial(jax.jit, static_argnums=0)
def _log_joint(
    model: VAE, params: ModelParams, x: Array, z: Array, u: Array
) -> Float[Array, " rows"]:
    """Return log p(x, z) up to a constant, z's density as the grid sees it."""
    outputs = autoencoders.decode(model, params, z)
    log_p = model.likelihood.log_prob(x, outputs).reshape(len(x), -1).sum(axis=1)
    p = autoencoders.prior_of(model, params)
    if isinstance(p, MixturePrior):
        return log_p + p.log_prob(u)
    return log_p - 0.5 * jnp.sum(u**2, axis=-1)


@partial(jax.jit, static_argnums=0)
def _which(model: VAE, params: ModelParams, z: Array) -> Array:
    p = autoencoders.prior_of(model, params)
    return jax.nn.softmax(p.log_joint(z), axis=-1)
