"""vijax beside its peers on the same work: `make bench` runs them all.

    special               quantiles of Beta and Gamma distributions
    intervals             credible intervals of many posteriors
    sweep                 one function over many settings
    logistic_regression   ten thousand steps of a stochastic fit
    posteriordb           seconds to the right answer on twenty posteriors
    vae                   epochs of a VAE
    posteriors            models with references, for the verdict

`posteriordb_systems` and `posteriordb_pymc` hold the systems that `posteriordb` runs;
README.md has its results. The peers have an environment of their own.
"""
