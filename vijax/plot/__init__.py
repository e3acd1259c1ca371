"""Pure functions from arrays, or a fit, to matplotlib figures, not shown or saved here.

    bayes   exact Bayesian inference, and the frequentist answers beside it
    vi      variational inference
    physics template fits: limits, pulls and impacts, yields
    vae     autoencoders: training, latent space, and the three uses
    style   size, colours and fonts that all figures share

Every figure can be had from here, as `plot.training_curves(…)`. A figure is 3.4 inches
a column wide, its axes are labelled with units. Colours are Okabe & Ito's, safe for
colour-blind readers; densities are drawn in `viridis`, signed quantities around zero in
`RdBu_r`. matplotlib loads with the first name asked for.
"""

import importlib
from typing import Any

from vijax.extras import require

_NAMES = {
    "bayes": (
        "Answer",
        "Belief",
        "ConclusionRegions",
        "LandscapePanel",
        "PosteriorTrack",
        "PriorMap",
        "PriorPlane",
        "bayes_factors",
        "coverage_maps",
        "discovery_claims",
        "frequentist_and_bayesian",
        "landscape_contours",
        "landscape_surfaces",
        "posterior_updates",
        "prior_maps",
        "prior_to_posterior",
        "relative_frequencies",
        "ten_coins",
    ),
    "vi": (
        "advi_fits",
        "convergence",
        "elbo_identity",
        "error_against_seconds",
        "evidence_bounds",
        "forest",
        "gamma_fits",
        "kl_directions",
        "marginals",
        "nuts_and_vi_scaling",
        "outcomes",
        "pairs",
        "posterior_errors",
        "posterior_marginals",
        "predictive_checks",
        "predictive_intervals",
        "weights_tail",
    ),
    "physics": ("Yields", "brazil_band", "pulls_and_impacts", "stacked_yields"),
    "vae": (
        "CodePoints",
        "GapMap",
        "auc_by_class",
        "bound_by_samples",
        "bounded_errors",
        "classes_left_out",
        "column_traversals",
        "elbo_draws",
        "event_distances",
        "gap_maps",
        "gradient_noise",
        "image_grid",
        "image_rows",
        "latent_scatter",
        "lossless_rates",
        "lossy_and_lossless",
        "rate_against_distortion",
        "reconstructed_columns",
        "roc_by_background",
        "samples_and_distances",
        "signal_injection",
        "training_curves",
    ),
    "style": ("figure",),
}
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}

__all__ = sorted([*_ROOM_OF, "style"])


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF and name not in _NAMES:
        raise AttributeError(f"module 'vijax.plot' has no attribute {name!r}")
    require("matplotlib", extra="plot", purpose="vijax.plot")
    room = importlib.import_module(f"vijax.plot.{_ROOM_OF.get(name, name)}")
    return getattr(room, name) if name in _ROOM_OF else room


def __dir__() -> list[str]:
    return sorted(__all__)
