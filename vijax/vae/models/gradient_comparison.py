r"""Gradient estimators side by side: means, errors and variances, beside exact values.

    found = draw_gradients(key, f, q, num_samples=10_000)   of E_q[f(z)], one a draw
    compare_estimators(found)["score function"].variance

The three estimators are those of `gradient_estimators`: reparametrised, score function,
and score function with a baseline. Each has draws of its own, so their errors are
independent. The exact gradient comes from Gauss-Hermite quadrature, which is for few
latent dimensions.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae.models import gradient_estimators
from vijax.vae.models.gradient_estimators import Draws, Integrand
from vijax.vae.models.posteriors import Posterior
from vijax.validate import check, is_whole

REPARAMETRISED = "reparametrised"
SCORE_FUNCTION = "score function"
WITH_BASELINE = "score function with baseline"
ESTIMATORS = (REPARAMETRISED, SCORE_FUNCTION, WITH_BASELINE)


class GradientDraws(NamedTuple):
    """Gradients of E_q[f(z)] with respect to (μ, log σ), in this order."""

    draws: dict[str, Float[Array, "draws parameters"]]  # estimator -> one each draw
    exact: Float[Array, " parameters"]


class EstimatorSummary(NamedTuple):
    """What the draws of one estimator say."""

    mean: Float[np.ndarray, " parameters"]
    standard_error: Float[np.ndarray, " parameters"]  # of the mean
    max_deviation: float  # largest |mean − exact| in standard errors
    variance: float  # of one draw, summed over the parameters
    variance_ratio: float  # over that of the reparametrised estimator


def draw_gradients(
    key: Key, f: Integrand, q: Posterior, *, num_samples: int, num_nodes: int = 40
) -> GradientDraws:
    """Draw gradients by every estimator, and compute the exact one by quadrature.

    The values and slopes of f at all draws and nodes come from one program.

    Args:
        key: for the draws, `num_samples` for each estimator.
        f: a differentiable function of z, such as log p(x | z) of one example.
        q: the normal distribution of z.
        num_samples: draws of each estimator, 2 or more.
        num_nodes: of the quadrature, in each latent dimension.

    Returns:
        `GradientDraws`.

    Raises:
        ValueError: if `num_samples` is not a whole number of 2 or more, or `num_nodes`
            not one of 1 or more.

    Example:
        >>> import jax
        >>> q = Posterior(jnp.array([1.0]), jnp.zeros(1))
        >>> key = jax.random.key(0)
        >>> found = draw_gradients(key, lambda z: 3 * z[0], q, num_samples=2)
        >>> found.draws["reparametrised"][:, 0].tolist(), found.exact[0].item()
        ([3.0, 3.0], 3.0)
    """
    remedy = "give a whole number of 2 or more"
    valid = is_whole(num_samples) and num_samples >= 2
    check(valid, "num_samples", num_samples, remedy)
    nodes, weights = gradient_estimators.nodes(q, num_nodes)
    number = len(ESTIMATORS) * num_samples
    noise = gradient_estimators.draw_noise(q, key, number)
    every = gradient_estimators.evaluate(f, q, jnp.concatenate([noise, nodes]))
    at_nodes = Draws(*(leaf[number:] for leaf in every))
    exact = gradient_estimators.mean_of(
        gradient_estimators.from_slopes(q, at_nodes), weights
    )
    return GradientDraws(
        gradients_by_estimator(q, every, num_samples), jnp.concatenate(exact)
    )


def gradients_by_estimator(
    q: Posterior, draws: Draws, num_samples: int
) -> dict[str, Float[Array, "draws parameters"]]:
    """Return the gradients of each estimator, each from draws of its own.

    Args:
        q: the normal distribution that the draws are of.
        draws: values and slopes of f at 3 · `num_samples` draws or more.
        num_samples: draws for each estimator.

    Returns:
        Estimator -> gradients with respect to (μ, log σ), one for each draw.

    Raises:
        ValueError: if there are too few draws.

    Example:
        >>> q = Posterior(jnp.zeros(1), jnp.zeros(1))
        >>> noise = jnp.array([[1.0], [2.0], [1.0], [2.0], [1.0], [2.0]])
        >>> draws = Draws(noise, 3 * noise[:, 0], 3 * jnp.ones((6, 1)))  # f(z) = 3 z
        >>> found = gradients_by_estimator(q, draws, 2)
        >>> {name: gradients[:, 0].tolist() for name, gradients in found.items()}
        {'reparametrised': [3.0, 3.0], 'score function': [3.0, 12.0],
         'score function with baseline': [-3.0, 6.0]}
    """
    given = len(draws.values)
    remedy = f"there are {given} draws: give a third of them at most"
    fits = num_samples >= 1 and len(ESTIMATORS) * num_samples <= given
    check(fits, "num_samples", num_samples, remedy)
    first, second, third = (
        Draws(*(leaf[i * num_samples : (i + 1) * num_samples] for leaf in draws))
        for i in range(len(ESTIMATORS))
    )
    score = gradient_estimators.from_values
    found = {
        REPARAMETRISED: gradient_estimators.from_slopes(q, first),
        SCORE_FUNCTION: score(q, second.noise, second.values),
        WITH_BASELINE: score(q, third.noise, third.values, baseline=True),
    }
    return {name: jnp.concatenate(g, axis=-1) for name, g in found.items()}


def compare_estimators(gradients: GradientDraws) -> dict[str, EstimatorSummary]:
    """Return mean, error and variance of every estimator.

    Args:
        gradients: from `draw_gradients`.

    Returns:
        Estimator -> `EstimatorSummary`. A deviation beyond four standard errors says
        that an estimator is biased, or the quadrature not converged.

    Raises:
        ValueError: if there is no reparametrised estimator to compare with, or fewer
            than two draws.

    Example:
        >>> draws = {
        ...     "reparametrised": jnp.array([[1.0], [3.0]]),
        ...     "score function": jnp.array([[-2.0], [6.0]]),
        ... }
        >>> found = compare_estimators(GradientDraws(draws, jnp.array([2.0])))
        >>> found["score function"].variance, found["score function"].variance_ratio
        (32.0, 16.0)
    """
    names = tuple(gradients.draws)
    remedy = f"give draws of the {REPARAMETRISED} estimator too"
    check(REPARAMETRISED in names, "gradients", names, remedy)
    values = {name: np.asarray(draws) for name, draws in gradients.draws.items()}
    least = min(len(draws) for draws in values.values())
    check(least >= 2, "gradients", least, "give two draws or more")
    exact = np.asarray(gradients.exact)
    variances = {
        name: float(draws.var(axis=0, ddof=1).sum()) for name, draws in values.items()
    }
    result = {}
    for name, draws in values.items():
        mean = draws.mean(axis=0)
        error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
        result[name] = EstimatorSummary(
            mean,
            error,
            float(np.max(np.abs(mean - exact) / error)),
            variances[name],
            variances[name] / variances[REPARAMETRISED],
        )
    return result
