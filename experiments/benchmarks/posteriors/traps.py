"""Densities that mislead on purpose: steps, points, plateaus, angles, hidden parts."""

from collections.abc import Callable
from math import gamma
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from numpyro.distributions import constraints
from scipy.stats import norm as normal

from experiments.benchmarks.posteriors.quadrature import logarithmic
from experiments.benchmarks.posteriors.registry import Axes, Problem, register


def _flat(dim: int) -> Any:
    return dist.ImproperUniform(constraints.real, (), (dim,))


def _step() -> dict[str, Any]:
    """Return moments of a normal whose upper tail counts five times."""
    x = np.linspace(-9, 9, 360_001)
    density = normal.pdf(x) * np.where(x > 1, 5.0, 1.0)
    density /= density.sum()
    mean = density @ x
    return {"x": (np.full(2, mean), np.full(2, np.sqrt(density @ x**2 - mean**2)))}


@register("trap", exact=_step, history="new")
def hidden_step() -> Problem:
    """Two normals whose density is five times as high above 1: no gradient says so."""

    def model() -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        numpyro.factor("step", jnp.sum(jnp.where(x > 1, jnp.log(5.0), 0.0)))

    return model, ()


def _pointed() -> dict[str, Any]:
    """Return E x² = Γ(6) / Γ(2) of exp(−√|x|)."""
    return {"x": (np.zeros(3), np.full(3, np.sqrt(gamma(6) / gamma(2))))}


# Refused, for the search does not settle, until draws could correct such a search.
@register("trap", exact=_pointed, history="mended")
def pointed() -> Problem:
    """Three unknowns of density exp(−√|x|): an infinite point, and long tails."""

    def model() -> None:
        x = numpyro.sample("x", _flat(3))
        numpyro.factor("point", -jnp.sum(jnp.sqrt(jnp.abs(x))))

    return model, ()


@register("trap", axes=lambda: {"x": np.linspace(-7, 7, 20_001)}, history="new")
def comb() -> Problem:
    """A normal times a wave: seven narrow modes in a row."""

    def model() -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.factor("wave", jnp.log1p(0.98 * jnp.sin(5.0 * x + 1.0)))

    return model, ()


def _two_mouths() -> dict[str, Any]:
    """Return E x² = E e^{2|v|} = 2 e^{2 s²} Φ(2 s) for v of sd s."""
    s = 0.7
    sd = np.sqrt(2 * np.exp(2 * s**2) * normal.cdf(2 * s))
    return {"v": (0.0, s), "x": (np.zeros(4), np.full(4, sd))}


@register("trap", exact=_two_mouths, history="new")
def two_mouths() -> Problem:
    """Two funnels, neck to neck: the log scale of four unknowns is |v|."""

    def model() -> None:
        v = numpyro.sample("v", dist.Normal(0.0, 0.7))
        scale = jnp.exp(jnp.abs(v))
        numpyro.sample("x", dist.Normal(0.0, scale).expand([4]).to_event(1))

    return model, ()


def _scattered(
    masses: Any, centres: Any, sds: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return truth and model of a mixture of round normals anywhere."""
    masses, centres, sds = (np.array(x, float) for x in (masses, centres, sds))
    dim = centres.shape[1]

    def truth() -> dict[str, Any]:
        """Return E x = Σ m μ and E x² = Σ m (σ² + μ²)."""
        mean = masses @ centres
        square = masses @ (sds[:, None] ** 2 + centres**2)
        return {"x": (mean, np.sqrt(square - mean**2))}

    def model() -> None:
        x = numpyro.sample("x", _flat(dim))
        square = jnp.sum((x - centres) ** 2, axis=-1) / sds**2
        numpyro.factor("parts", logsumexp(jnp.log(masses / sds**dim) - 0.5 * square))

    return truth, model


_OFF_AXIS = _scattered([0.7, 0.3], [[0.0, 0.0, 0.0], [4.0, -3.0, 5.0]], [1.0, 0.2])


# Trusted without it by mean field, full rank and flow; since then the search looks at
# four times as many positions, and climbs from those that are least drawn home.
@register("trap", exact=_OFF_AXIS[0], history="mended")
def off_axis() -> Problem:
    """A narrow mode of 30 % mass seven sds off, on no axis, in three dimensions."""
    return _OFF_AXIS[1], ()


_FAR_SPECK = _scattered([0.997, 0.003], [[0.0] * 5, [40.0, 0, 0, 30, 0]], [1.0, 2.0])


@register("trap", exact=_FAR_SPECK[0], history="new")
def far_speck() -> Problem:
    """In five dimensions 0.3 % of the mass, fifty sds off, has most of a variance."""
    return _FAR_SPECK[1], ()


_SATELLITES = _scattered(
    [0.94, 0.03, 0.03], [[0.0, 0.0], [5.0, 5.0], [-7.0, 6.0]], [1.0, 0.3, 0.3]
)


@register("trap", exact=_SATELLITES[0], history="new")
def satellites() -> Problem:
    """Two small, narrow modes beside a wide one."""
    return _SATELLITES[1], ()


def _bent_valley() -> dict[str, Any]:
    """Return moments of u ~ ⁴⁄₅ N(0, 1) + ⅕ N(7, ½²) and of w = u²/4 + 0.3 ε."""
    share, place, width = np.array([0.8, 0.2]), np.array([0.0, 7.0]), np.array([1, 0.5])
    second = place**2 + width**2
    fourth = place**4 + 6 * place**2 * width**2 + 3 * width**4
    mean, square = share @ place, share @ second
    w = square / 4
    w_sd = np.sqrt(share @ fourth / 16 - w**2 + 0.09)
    return {"u": (mean, np.sqrt(square - mean**2)), "w": (w, w_sd)}


@register("trap", exact=_bent_valley, history="new")
def bent_valley() -> Problem:
    """A second mode at the far end of a banana, reached along its bend alone."""

    def model() -> None:
        shares = dist.Categorical(jnp.array([0.8, 0.2]))
        parts = dist.Normal(jnp.array([0.0, 7.0]), jnp.array([1.0, 0.5]))
        u = numpyro.sample("u", dist.MixtureSameFamily(shares, parts))
        numpyro.sample("w", dist.Normal(u**2 / 4, 0.3))

    return model, ()


def _either_face() -> dict[str, Any]:
    """Return the moments of Beta(0.15, 0.15)."""
    return {"p": (np.full(2, 0.5), np.full(2, np.sqrt(0.25 / 1.3)))}


# Refused as `pointed` was.
@register("trap", exact=_either_face, history="mended")
def either_face() -> Problem:
    """Coins that nobody threw, thought to be two-faced: all mass at both ends."""

    def model() -> None:
        numpyro.sample("p", dist.Beta(0.15, 0.15).expand([2]).to_event(1))

    return model, ()


def _axes_of_a_direction() -> Axes:
    return {"phi": np.linspace(-np.pi, np.pi, 20_001)}


@register("trap", axes=_axes_of_a_direction, history="new")
def direction_without_sign() -> Problem:
    """The angle of a line: φ and φ + π are the same, one of them near the cut."""

    def model(y: Any) -> None:
        phi = numpyro.sample("phi", dist.VonMises(0.0, 0.3))
        numpyro.sample("y", dist.VonMises(2 * phi, 4.0), obs=y)

    return model, (np.array([-0.2, 0.5, 0.1, 0.3, -0.4, 0.2]),)


def _dead_axes() -> Axes:
    return {"w": np.linspace(-20, 20, 8001)}


@register("trap", axes=_dead_axes, history="new")
def dead_unit() -> Problem:
    """A rectified line: for half of the slopes the likelihood is a plateau."""

    def model(x: Any, y: Any) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, 3.0))
        numpyro.sample("y", dist.Normal(jnp.maximum(w * x, 0.0), 1.0), obs=y)

    return model, (np.array([0.5, 1.0, 1.5, 2.0]), np.array([0.9, 0.3, 1.6, 1.2]))


def _average_axes() -> Axes:
    return {"theta": np.linspace(-9, 9, 1801), "s": logarithmic(0.2, 8.0, 801)}


@register("trap", axes=_average_axes, history="new")
def moving_average() -> Problem:
    """A first-order moving average: θ and 1/θ explain the data alike."""

    def model(y: Any) -> None:
        theta = numpyro.sample("theta", dist.Normal(0.0, 2.0))
        s = numpyro.sample("s", dist.HalfNormal(3.0))
        lag = jnp.abs(jnp.subtract.outer(jnp.arange(len(y)), jnp.arange(len(y))))
        cov = jnp.where(lag == 0, 1 + theta**2, jnp.where(lag == 1, theta, 0.0))
        mean = jnp.zeros(len(y))
        numpyro.sample("y", dist.MultivariateNormal(mean, s**2 * cov), obs=y)

    rng = np.random.default_rng(1401)
    e = rng.normal(size=41)
    return model, (e[1:] + 0.5 * e[:-1],)


def _masses_axes() -> Axes:
    return {
        "mixing": np.linspace(1e-9, 1 - 1e-9, 401),
        "difference": np.linspace(0.5 + 1e-9, 10.0 - 1e-9, 6001),
    }


@register("trap", axes=_masses_axes, history="new")
def oscillations() -> Problem:
    """Neutrino counts at six energies: the likelihood oscillates in Δm²."""

    def model(energy: Any, counts: Any) -> None:
        mixing = numpyro.sample("mixing", dist.Uniform(0.0, 1.0))
        difference = numpyro.sample("difference", dist.Uniform(0.5, 10.0))
        lost = mixing * jnp.sin(1.27 * difference * 2.0 / energy) ** 2
        numpyro.sample("counts", dist.Poisson(80.0 * (1 - lost)), obs=counts)

    rng = np.random.default_rng(1403)
    energy = np.array([0.9, 1.3, 1.8, 2.5, 3.5, 5.0])
    lost = 0.6 * np.sin(1.27 * 2.6 * 2.0 / energy) ** 2
    return model, (energy, rng.poisson(80 * (1 - lost)))
