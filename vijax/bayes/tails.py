"""Logarithms of the tails of Beta and Gamma."""

import jax.numpy as jnp
from jax.scipy import special as jsp
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes import inputs


def log_betainc(a: inputs.Data, b: inputs.Data, x: inputs.Data) -> Float[Array, "..."]:
    """Return log I_x(a, b)."""
    a, b, x = jnp.broadcast_arrays(*map(inputs.as_float, (a, b, x)))
    return jnp.log(jsp.betainc(a, b, x))


def log_gammainc(a: inputs.Data, x: inputs.Data) -> Float[Array, "..."]:
    """Return log P(a, x)."""
    a, x = jnp.broadcast_arrays(*map(inputs.as_float, (a, x)))
    return jnp.log(jsp.gammainc(a, x))


def betainccinv(a: inputs.Data, b: inputs.Data, p: Array) -> Float[Array, "..."]:
    """Return x with 1 - I_x(a, b) = p."""
    return special.betaincinv(a, b, 1 - p)


def gammainccinv(a: inputs.Data, p: Array) -> Float[Array, "..."]:
    """Return x with Q(a, x) = p."""
    return special.gammaincinv(a, 1 - p)


def log_gammaincc(a: inputs.Data, x: inputs.Data) -> Float[Array, "..."]:
    """Return log Q(a, x)."""
    a, x = jnp.broadcast_arrays(*map(inputs.as_float, (a, x)))
    return jnp.log(jsp.gammaincc(a, x))
