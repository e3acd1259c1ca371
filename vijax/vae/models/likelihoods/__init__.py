"""Likelihoods p(x | outputs): what a decoder's outputs say about the data.

All share one interface, whose functions work pixel by pixel: the log probability of an
example is the sum over its pixels.

    log_prob(x, outputs) -> nats per pixel     x (…, *shape), outputs (…, *shape, n)
    mean(outputs)        -> E[x]               (…, *shape)
    sample(key, outputs) -> x                  (…, *shape)
    support(x)           -> mask               True where x may have been drawn
    accepts(images)      -> mask               True where `prepare` takes the value
    prepare(key, images) -> x                  images -> data, anew at each call

where n = `num_outputs` numbers of the decoder belong to each pixel.

    bernoulli()               0 or 1; grey levels are binarised at random
    gaussian(scale)           real numbers
    continuous_bernoulli()    grey levels as real numbers in [0, 1]
    discretised_logistic(num_levels)    grey levels as what they are, counts
    beta_binomial(num_levels)

All are normalised on their own support, so nats may be compared: between models of
the same data. A density (Gaussian, continuous Bernoulli) of grey levels is not the
probability of a level, and a Bernoulli's formula of grey levels is neither.
"""

from vijax.vae.models.likelihoods.base import Likelihood, check_images, check_support
from vijax.vae.models.likelihoods.bernoulli import bernoulli, binarize
from vijax.vae.models.likelihoods.continuous import continuous_bernoulli, gaussian
from vijax.vae.models.likelihoods.grey_levels import beta_binomial, discretised_logistic

__all__ = [
    "Likelihood",
    "bernoulli",
    "beta_binomial",
    "binarize",
    "check_images",
    "check_support",
    "continuous_bernoulli",
    "discretised_logistic",
    "gaussian",
]
