"""Autoencoders and variational autoencoders.

    model = models.vae((28, 28), latent=2)              what is learned
    trained = train.fit(losses.negative_elbo(model), …)  how
    evaluate.elbo(model, trained.params, …)             how well, in nats per example

A model is a tuple of pure functions, its parameters a pytree beside it. Everything
is measured per example in nats, and images keep their shape: (batch, *shape).
"""
