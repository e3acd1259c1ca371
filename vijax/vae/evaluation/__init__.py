"""How good a trained model is, on held-out data.

    elbo               the ELBO with its standard errors
    log_evidence       log p(x) by importance sampling, or exactly by quadrature
    annealed_sampling  log p(x) from below and above, without the encoder
    annealed_walk      its walk from the prior to the posterior, by Monte Carlo
    rate_distortion    the best trade of rate and distortion that a decoder allows
    latent_usage       active latents; the codes of all data against the prior
    latent_maps        data to latents and back, grids and lines to decode
    latent_gaps        the share of latents that decode to images unlike the data

Functions take `(model, params, key, x)` in this order: the model is what they work on,
`params` what could be differentiated. A result is in nats per example unless its name
says otherwise, and prints with its standard error.
"""

from vijax.vae.evaluation.annealed_sampling import (
    AnnealedEstimate,
    annealed_lower_bound,
    annealed_upper_bound,
)
from vijax.vae.evaluation.annealed_walk import Walk
from vijax.vae.evaluation.elbo import (
    ELBOEstimate,
    ELBOPerExample,
    elbo_per_example,
    held_out_elbo,
    mean_elbo,
)
from vijax.vae.evaluation.latent_gaps import (
    DecodedData,
    OffData,
    decoded_data,
    distances_to_data,
    nearest_distance,
    share_off_data,
)
from vijax.vae.evaluation.latent_maps import (
    decoded_means,
    kl_of_moments,
    latent_box,
    latent_line,
    latent_means,
    latent_traversal,
    quantile_grid,
    range_grid,
    sliced_wasserstein,
    uniform_in_box,
)
from vijax.vae.evaluation.latent_usage import (
    AggregatePosterior,
    LatentUsage,
    active_units,
    aggregate_posterior,
    posteriors,
)
from vijax.vae.evaluation.log_evidence import (
    LogEvidence,
    MeanLogEvidence,
    importance_log_evidence,
    mean_log_evidence,
    quadrature_log_evidence,
)
from vijax.vae.evaluation.rate_distortion import (
    RateDistortionCurve,
    RateDistortionPerExample,
    rate_distortion_curve,
    rate_distortion_per_example,
)

__all__ = [
    "AggregatePosterior",
    "AnnealedEstimate",
    "DecodedData",
    "ELBOEstimate",
    "ELBOPerExample",
    "LatentUsage",
    "LogEvidence",
    "MeanLogEvidence",
    "OffData",
    "RateDistortionCurve",
    "RateDistortionPerExample",
    "Walk",
    "active_units",
    "aggregate_posterior",
    "annealed_lower_bound",
    "annealed_upper_bound",
    "decoded_data",
    "decoded_means",
    "distances_to_data",
    "elbo_per_example",
    "held_out_elbo",
    "importance_log_evidence",
    "kl_of_moments",
    "latent_box",
    "latent_line",
    "latent_means",
    "latent_traversal",
    "mean_elbo",
    "mean_log_evidence",
    "nearest_distance",
    "posteriors",
    "quadrature_log_evidence",
    "quantile_grid",
    "range_grid",
    "rate_distortion_curve",
    "rate_distortion_per_example",
    "share_off_data",
    "sliced_wasserstein",
    "uniform_in_box",
]


def __dir__() -> list[str]:
    return sorted(__all__)
