"""Dirichlet prior, categorical outcomes: p ~ Dirichlet(α), x_i ~ Categorical(p)."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate.dirichlet_multinomial import Statistics, update
from vijax.bayes.numerics import count_pmfs
from vijax.bayes.validation import Sample, shape_checks, value_checks
from vijax.validate import where_valid

__all__ = [
    "Statistics",
    "log_evidence",
    "model",
    "posterior",
    "predictive",
    "sufficient_statistics",
    "update",
]


def posterior(prior: dist.Dirichlet, labels: Sample) -> dist.Dirichlet:
    r"""Return Dirichlet(α + counts of the labels).

    Args:
        prior: Dirichlet(α), shape (..., categories).
        labels: x_i in 0 … categories - 1, any shape; all of them are one data set.

    Raises:
        ValueError: a prior of another family, a label that is fractional or names no
            category, an improper posterior. In a trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 3.4.

    Example:
        >>> posterior(dist.Dirichlet(jnp.ones(3)), [0, 2, 2]).concentration.tolist()
        [2.0, 1.0, 3.0]
    """
    shape_checks.of_type("prior", prior, dist.Dirichlet)
    num_categories = jnp.shape(prior.concentration)[-1]
    return update(prior, sufficient_statistics(labels, num_categories))


def sufficient_statistics(labels: Sample, num_categories: int) -> Statistics:
    """Return how often each category was seen.

    Args:
        labels: as in `posterior`, which has errors and source.
        num_categories: length of the result, counts that add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([0, 2, 2], 3).counts.tolist()
        [1.0, 0.0, 2.0]
    """
    labels, valid = value_checks.counts("labels", labels)
    remedy = f"give a category between 0 and {num_categories - 1}"
    valid &= value_checks.checked(labels < num_categories, "labels", labels, remedy)
    index = jnp.where(valid, labels, 0).astype(jnp.int32).ravel()
    counts = jnp.bincount(index, length=num_categories).astype(labels.dtype)
    return where_valid(value_checks.all_of(valid), Statistics(counts))


def log_evidence(prior: dist.Dirichlet, labels: Sample) -> Float[Array, "..."]:
    r"""Return log p(x) = log B(α + counts) - log B(α), in nats.

    The evidence of the sequence: without a multinomial coefficient.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Dirichlet(jnp.ones(3)), [0, 2, 2])  # -ln 30
        >>> print(f"{value:.4f}")
        -3.4012
    """
    shape_checks.of_type("prior", prior, dist.Dirichlet)
    concentration = value_checks.as_float(prior.concentration)
    data = sufficient_statistics(labels, concentration.shape[-1])
    valid = value_checks.proper(concentration=concentration).all(axis=-1)
    return where_valid(
        valid, count_pmfs.log_dirichlet_ratio(data.counts, concentration)
    )


def predictive(posterior: dist.Dirichlet) -> dist.CategoricalProbs:
    """Return the distribution of the next outcome.

    P(j) = α_j / Σ α.

    Returns:
        The distribution, in the shape of the posterior's batch.

    Example:
        >>> after = dist.Dirichlet(jnp.array([2.0, 1.0, 5.0]))
        >>> predictive(after).probs.tolist()
        [0.25, 0.125, 0.625]
    """
    concentration = posterior.concentration
    return dist.CategoricalProbs(
        concentration / concentration.sum(axis=-1, keepdims=True)
    )


def model(prior: dist.Dirichlet, labels: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the site `probs`.

    p ~ Dirichlet(α), x_i ~ Categorical(p); arguments as in `posterior`, without labels
    one is drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Dirichlet(jnp.ones(2)), {"labels": jnp.array([1, 1])}
        >>> values = {"probs": jnp.array([0.5, 0.5])}
        >>> value = log_density(model, (prior,), data, values)[0]
        >>> print(f"{value:.4f}")  # ln(1 / 4)
        -1.3863
    """
    probs = numpyro.sample("probs", prior)
    numpyro.sample("labels", dist.CategoricalProbs(probs), obs=labels)
