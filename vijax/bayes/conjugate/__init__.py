"""Conjugate families, one file each, with the same functions in every file.

posterior(prior, data…)      -> the prior's family, updated
log_evidence(prior, data…)   -> log p(data), in nats
predictive(posterior, …)     -> the distribution of the next datum
model(prior, data…)          the same model in NumPyro, for MCMC and VI

sufficient_statistics(data…) -> the sufficient statistics; they add with `+`
update(prior, statistics)    -> the posterior from them
"""
