r"""Bounds on log p(x) as pure functions of log weights, and their gradients.

Every function here takes

    log_weights (num_samples, ...) = log p(x, z) − log q(z),   z ~ q,

the samples on the FIRST axis; the other axes (examples of a batch, say) are kept, so
a result has the shape `log_weights.shape[1:]`, in nats. For one model that is a
number; for a VAE one number an example, averaged by the caller.

The gradient of a bound is JAX's own, of the value returned. Which estimator that is
follows from how the caller made the log weights:

    z = loc + scale * noise, log q(z) differentiable        total derivative
    the same, log q's own parameters under stop_gradient    `elbo`: sticking the landing
    the same, through `dreg`                                doubly reparametrised
    z under stop_gradient, through `score_function`         score function
    entropy or KL in closed form, through `elbo_closed`     closed form
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.validate import check


def elbo(log_weights: Float[Array, "samples ..."]) -> Float[Array, "..."]:
    r"""Return (1/S) Σ_s log w_s, an unbiased estimate of the ELBO ≤ log p(x).

    With log q's own parameters under `stop_gradient` its gradient is "sticking the
    landing": the score term, whose mean is zero, is left out, and with it all noise
    where q is the posterior.

    References:
        Roeder, Wu & Duvenaud (2017), arXiv:1703.09194.

    Example:
        >>> elbo(jnp.array([-1.0, -2.0])).item()
        -1.5
    """
    return jnp.mean(log_weights, axis=0)


def elbo_closed(
    log_likelihood: Float[Array, "samples ..."], kl: Float[ArrayLike, "..."]
) -> Float[Array, "..."]:
    r"""Return (1/S) Σ_s log p(x | z_s) − KL[q ‖ prior], the KL in closed form.

    With log p(x, z) in the first place and −entropy in the second it is the ELBO
    with q's entropy in closed form.

    Example:
        >>> elbo_closed(jnp.array([-1.0, -2.0]), 0.25).item()
        -1.75
    """
    return jnp.mean(log_likelihood, axis=0) - jnp.asarray(kl)


def iwae(log_weights: Float[Array, "samples ..."]) -> Float[Array, "..."]:
    r"""Return log (1/S) Σ_s w_s, the importance-weighted bound of S samples.

    Its expectation rises with S from the ELBO (S = 1) to log p(x).

    References:
        Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, equation 8.

    Example:
        >>> round(iwae(jnp.log(jnp.array([1.0, 3.0]))).item(), 6)
        0.693147
    """
    return logsumexp(log_weights, axis=0) - jnp.log(log_weights.shape[0])


def renyi(
    log_weights: Float[Array, "samples ..."], alpha: ArrayLike
) -> Float[Array, "..."]:
    r"""Return the Rényi bound 1/(1 − α) · log (1/S) Σ_s w_s^(1 − α).

    α = 0 is the importance-weighted bound, α → 1 the ELBO (taken exactly at α = 1);
    negative α gives upper bounds on log p(x) as S grows.

    References:
        Li & Turner (2016), arXiv:1602.02311, equation 6.

    Example:
        >>> log_weights = jnp.log(jnp.array([1.0, 3.0]))
        >>> [round(renyi(log_weights, alpha).item(), 5) for alpha in (0.0, 0.5, 1.0)]
        [0.69315, 0.62381, 0.54931]
    """
    power = 1 - jnp.asarray(alpha, log_weights.dtype)
    is_elbo = power == 0
    power = jnp.where(is_elbo, 1.0, power)
    bound = iwae(power * log_weights) / power
    return jnp.where(is_elbo, elbo(log_weights), bound)


def dreg(
    log_weights: Callable[[Float[Array, "samples ..."]], Float[Array, "samples ..."]],
    z: Float[Array, "samples ..."],
) -> Float[Array, "..."]:
    r"""Return the importance-weighted bound with the doubly reparametrised gradient.

    With w̃ = w / Σ w the gradient is
    Σ_s w̃_s² (∂ log w_s / ∂z_s) (dz_s / dφ)   in what `z` was made from (φ), and
    Σ_s w̃_s ∂ log w_s / ∂θ                    in what `log_weights` closes over (θ),
    without the score term that drowns the signal in φ as S grows. One forward and
    one backward pass.

    Args:
        log_weights: z -> log p(x, z) − log q(z), with q's own parameters under
            `stop_gradient`, so that φ enters through z alone.
        z: reparametrised draws, (samples, ..., event); the leading axes are those of
            the log weights.

    References:
        Tucker, Lawson, Gu & Maddison (2019), arXiv:1810.04152, equation 8.

    Example:
        >>> z = jnp.array([0.5, -1.0])
        >>> value, gradient = jax.value_and_grad(
        ...     lambda shift: dreg(lambda z: -(z**2), z + shift))(0.0)
        >>> round(value.item(), 6), round(gradient.item(), 6)
        (-0.556276, -0.255431)
    """
    # The same forward pass twice, of which the compiler keeps one.
    fixed = jax.lax.stop_gradient(log_weights(jax.lax.stop_gradient(z)))
    weights = jax.nn.softmax(fixed, axis=0)
    weights = jax.lax.stop_gradient(weights)
    event = (1,) * (z.ndim - weights.ndim)
    live = log_weights(scale_gradient(z, weights.reshape(weights.shape + event)))
    surrogate = jnp.sum(weights * live, axis=0)
    return _with_gradient_of(iwae(fixed), surrogate)


def score_function(
    log_weights: Float[Array, "samples ..."], log_q: Float[Array, "samples ..."]
) -> Float[Array, "..."]:
    r"""Return the ELBO with the score-function gradient, leave-one-out baseline.

    The gradient is (1/S) Σ_s (log w_s − b_s) ∇ log q(z_s), where b_s is the mean of
    the other samples' log weights: unbiased, and free of a common offset. It asks
    nothing of p's derivatives in z, so it serves discrete z, at a higher variance.

    Args:
        log_weights: at fixed draws (`stop_gradient`) and with log q fixed, so that
            only the model's own parameters are differentiated through it.
        log_q: log q(z_s) at the same fixed draws, differentiable in q.

    References:
        Mnih & Rezende (2016), arXiv:1602.06725; Kool, van Hoof & Welling (2019).

    Example:
        >>> draws = jnp.array([-1.0, 1.0])
        >>> log_q = lambda loc: -0.5 * (draws - loc) ** 2
        >>> jax.grad(lambda loc: score_function(3 * draws, log_q(loc)))(0.0).item()
        6.0
    """
    num_samples = log_weights.shape[0]
    check(
        num_samples >= 2,
        "num_samples",
        num_samples,
        "the leave-one-out baseline needs at least 2 draws",
    )
    others = (jnp.sum(log_weights, 0) - log_weights) / (num_samples - 1)
    advantage = jax.lax.stop_gradient(log_weights - others)
    value = elbo(log_weights)
    return _with_gradient_of(value, value + jnp.mean(advantage * log_q, axis=0))


def standard_error(log_weights: Float[Array, "samples ..."]) -> Float[Array, "..."]:
    r"""Return the standard error of `elbo`: sd(log w) / √S.

    Example:
        >>> standard_error(jnp.array([-1.0, -2.0])).item()
        0.5
    """
    return jnp.std(log_weights, axis=0, ddof=1) / jnp.sqrt(log_weights.shape[0])


def iwae_standard_error(
    log_weights: Float[Array, "samples ..."],
) -> Float[Array, "..."]:
    r"""Return the delta-method standard error of `iwae`: sd(w) / (mean(w) √S).

    Example:
        >>> round(iwae_standard_error(jnp.log(jnp.array([1.0, 3.0]))).item(), 6)
        0.5
    """
    weights = jnp.exp(log_weights - jnp.max(log_weights, axis=0))
    return standard_error(weights) / jnp.mean(weights, axis=0)


@jax.custom_vjp
def scale_gradient(x: ArrayLike, scale: ArrayLike) -> Array:
    """Return x; the gradient that flows back through it is multiplied by `scale`.

    Example:
        >>> jax.grad(lambda x: scale_gradient(x, 3.0) ** 2)(5.0).item()
        30.0
    """
    return jnp.asarray(x)


def _scale_gradient_forward(x: ArrayLike, scale: ArrayLike) -> tuple[Array, Array]:
    return jnp.asarray(x), jnp.asarray(scale)


def _scale_gradient_backward(scale: Array, gradient: Array) -> tuple[Array, Array]:
    return (scale * gradient).astype(gradient.dtype), jnp.zeros_like(scale)


scale_gradient.defvjp(_scale_gradient_forward, _scale_gradient_backward)


@jax.custom_jvp
def _with_gradient_of(value: Array, surrogate: Array) -> Array:
    """Return the value of the first and the gradient of the second."""
    return value


@_with_gradient_of.defjvp
def _with_gradient_of_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    return primals[0], tangents[1]
