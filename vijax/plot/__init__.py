"""Pure functions from arrays to matplotlib figures; nothing is shown or saved here.

    coin_flip, bayes_theorem, prior_sweep, posterior_landscapes, interval_coverage
                                  Bayesian inference, exact
    variational_fits, reference_posteriors
                                  variational inference
    vae_training, latent_space, rate_distortion_plane
                                  autoencoders and VAEs
    use_cases, anomaly_detection, compression_rates, generated_events
                                  the three uses
    style                         size, colours and fonts that all figures share

A figure is 3.4 inches a column wide, its axes are labelled with units. Colours are
Okabe & Ito's, safe for colour-blind readers; densities are drawn in `viridis`, signed
quantities around zero in `RdBu_r`. matplotlib loads with the first name asked for.
"""

import importlib
from typing import Any

from vijax.extras import require

_NAMES = {
    "anomaly_detection": ("auc_by_class", "roc_by_background", "signal_injection"),
    "bayes_theorem": ("relative_frequencies", "ten_coins"),
    "coin_flip": (
        "Answer",
        "Belief",
        "bayes_factors",
        "frequentist_and_bayesian",
        "prior_to_posterior",
    ),
    "compression_rates": ("bounded_errors", "lossless_rates"),
    "generated_events": ("event_distances",),
    "interval_coverage": ("coverage_maps",),
    "latent_space": (
        "GapMap",
        "gap_maps",
        "image_grid",
        "image_rows",
        "latent_scatter",
    ),
    "posterior_landscapes": (
        "LandscapePanel",
        "PosteriorTrack",
        "landscape_contours",
        "landscape_surfaces",
        "posterior_updates",
    ),
    "prior_sweep": ("ConclusionRegions", "PriorMap", "PriorPlane", "prior_maps"),
    "rate_distortion_plane": ("CodePoints", "rate_against_distortion"),
    "reference_posteriors": ("posterior_errors", "posterior_marginals"),
    "style": ("figure",),
    "use_cases": ("classes_left_out", "lossy_and_lossless", "samples_and_distances"),
    "vae_training": (
        "bound_by_samples",
        "elbo_draws",
        "gradient_noise",
        "training_curves",
    ),
    "variational_fits": (
        "advi_fits",
        "elbo_identity",
        "evidence_bounds",
        "gamma_fits",
        "kl_directions",
        "nuts_and_vi_scaling",
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted([*_MODULE_OF, "style"])


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF or name in _NAMES:
        require("matplotlib", extra="plot", purpose="vijax.plot")
    if name in _MODULE_OF:
        module = importlib.import_module(f"vijax.plot.{_MODULE_OF[name]}")
        return getattr(module, name)
    if name in _NAMES:
        return importlib.import_module(f"vijax.plot.{name}")
    raise AttributeError(f"module 'vijax.plot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
