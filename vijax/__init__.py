"""Bayesian and variational inference in JAX, from the coin flip to the VAE.

    vijax.bayes   exact inference: conjugate families, intervals, evidence, grids
    vijax.vi      variational inference: ELBO, ADVI, a verdict on every fit
    vijax.vae     autoencoders and VAEs: bounds, training, the three use cases
    vijax.data    data sets as NumPy arrays
    vijax.plot    arrays -> matplotlib figures

`import vijax` loads none of them; import the part that you need.
"""

__version__ = "0.1.0"
