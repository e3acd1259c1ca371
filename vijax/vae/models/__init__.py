"""What is learned: the models, their networks, likelihoods, priors and losses.

    model = models.vae((28, 28), latent=2)
    params = models.init(model, key)
    q = models.encode(model, params, x)

A model is a tuple of pure functions, its parameters are a pytree beside it: functions
take (model, params, …) in this order, and a key next where they draw. Images keep their
shape, (batch, *shape). `likelihoods` say what a decoder's outputs mean, `priors` and
`posteriors` what p(z) and q(z | x) are, `losses` what training minimises, in nats per
example; `networks` makes encoders and decoders, `layers` latents above latents,
`residual_ladders` many groups of them in convolutions,
`covariates` models that are given classes or numbers,
`bound_terms` has the terms of the bounds one by one, `gradient_estimators` are
ways to differentiate an expectation, and `gradient_comparison` puts their means and
variances side by side.
"""

from vijax.vae.models import (
    bound_terms,
    covariates,
    gradient_comparison,
    gradient_estimators,
    layers,
    likelihoods,
    losses,
    networks,
    posteriors,
    priors,
    residual_ladders,
)
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    ModelParams,
    autoencoder,
    decode,
    decoded_mean,
    encode,
    init,
    init_at_mean,
    latent_mean,
    num_params,
    prior_of,
    reconstruct,
    vae,
)
from vijax.vae.models.covariates import conditional_vae, with_covariates
from vijax.vae.models.layers import layered_vae
from vijax.vae.models.posteriors import Posterior
from vijax.vae.models.residual_ladders import residual_ladder

__all__ = [
    "VAE",
    "Autoencoder",
    "ModelParams",
    "Posterior",
    "autoencoder",
    "bound_terms",
    "conditional_vae",
    "covariates",
    "decode",
    "decoded_mean",
    "encode",
    "gradient_comparison",
    "gradient_estimators",
    "init",
    "init_at_mean",
    "latent_mean",
    "layered_vae",
    "layers",
    "likelihoods",
    "losses",
    "networks",
    "num_params",
    "posteriors",
    "prior_of",
    "priors",
    "reconstruct",
    "residual_ladder",
    "residual_ladders",
    "vae",
    "with_covariates",
]


def __dir__() -> list[str]:
    """List what a user wants."""
    return sorted(__all__)
