"""Autoencoders and variational autoencoders.

    model = models.vae((28, 28), latent=2)              what is learned
    trained = train.fit(model, key, images, epochs=30)  how, by losses.negative_elbo
    evaluate.elbo(model, trained.params, key, x_test)   how well, in nats per example

From the images of a file of your own, `images = data.load("mine.npz").train`, to log
p(x) of held-out ones, saved on the way so that a run which is killed goes on:

    trained = train.fit(model, key, images, epochs=30, checkpoint="results/mine",
                        on_epoch=log.csv_file("results/mine.csv"))
    x = likelihoods.binarize(key, held_out)             Bernoulli pixels are 0 or 1
    estimate = evidence.importance(model, trained.params, key, x, num_samples=5000)
    evidence.summarise(estimate)                        mean, errors, sample sizes

Tables are the same with `likelihoods.gaussian(None)`, as `models.vae((10,), …)`.

A model is a tuple of pure functions, its parameters a pytree beside it. Everything
is measured per example in nats, and images keep their shape: (batch, *shape).
"""
