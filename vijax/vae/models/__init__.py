"""What is learned: the two models, their networks, likelihoods and losses.

    model = models.vae((28, 28), latent=2)
    params = models.init(model, key)
    q = models.encode(model, params, x)

A model is a tuple of pure functions, its parameters are a pytree beside it: functions
take (model, params, …) in this order, and a key next where they draw. Images keep their
shape, (batch, *shape). `likelihoods` say what a decoder's outputs mean, `losses` what
training minimises, in nats per example; `networks` makes encoders and decoders,
`bound_terms` has the terms of the bounds one by one, `gradient_estimators` are
ways to differentiate an expectation, and `gradient_comparison` puts their means and
variances side by side.
"""

from vijax.vae.models import (
    bound_terms,
    gradient_comparison,
    gradient_estimators,
    likelihoods,
    losses,
    networks,
)
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    ModelParams,
    Posterior,
    autoencoder,
    decode,
    decoded_mean,
    encode,
    init,
    init_at_mean,
    latent_mean,
    num_params,
    reconstruct,
    vae,
)

__all__ = [
    "VAE",
    "Autoencoder",
    "ModelParams",
    "Posterior",
    "autoencoder",
    "bound_terms",
    "decode",
    "decoded_mean",
    "encode",
    "gradient_comparison",
    "gradient_estimators",
    "init",
    "init_at_mean",
    "latent_mean",
    "likelihoods",
    "losses",
    "networks",
    "num_params",
    "reconstruct",
    "vae",
]


def __dir__() -> list[str]:
    """List what a user wants."""
    return sorted(__all__)
