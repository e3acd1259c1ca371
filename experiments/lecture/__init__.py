"""The lecture, experiment by experiment: `python -m experiments.lecture` runs them all.

    bayes_theorem     relative frequencies, and the coin with two tails (L1-L3)
    coin_flip         a coin, frequentist and Bayesian (L4-L9)
    prior_sweep       which conclusions survive another prior (L7-L9)
    poisson_sensors   two counting sensors, datum by datum (L10-L11)
    vi_vs_mcmc        sampling or optimising: seconds and errors (L12)
    elbo              the evidence lower bound (L13-L16)
    autoencoder       an autoencoder and the gaps in its latent space (L17-L19)
    vae               the variational autoencoder (L20-L24)
    use_cases         anomalies, compression, generation (L25)

`elbo_fits` and `vae_estimators` are halves of `elbo` and `vae`.
`run_all` runs the nine side by side and writes the report.
"""
