"""Figures of autoencoders: training, latent space, and their three uses.

    vae_training           curves of the loss, bounds by samples, noise of gradients
    latent_space           where examples lie, what latents decode to, and the gaps
    rate_distortion_plane  rate against distortion of codes and of the model's optimum
    use_cases              the lecture's page of anomalies, compression and generation
    anomaly_detection      areas under ROC curves by class; a signal in the training
    compression_rates      files without loss and within a bound, beside general codes
    generated_events       distances of generated events from real ones
    table_columns          a table's columns: reconstructions, traversals

Each function takes arrays and returns a `Figure`; see `vijax.plot` for the style.
"""

from vijax.plot.vae.anomaly_detection import (
    auc_by_class,
    roc_by_background,
    signal_injection,
)
from vijax.plot.vae.compression_rates import bounded_errors, lossless_rates
from vijax.plot.vae.generated_events import event_distances
from vijax.plot.vae.latent_space import (
    GapMap,
    gap_maps,
    image_grid,
    image_rows,
    latent_scatter,
)
from vijax.plot.vae.rate_distortion_plane import CodePoints, rate_against_distortion
from vijax.plot.vae.table_columns import column_traversals, reconstructed_columns
from vijax.plot.vae.use_cases import (
    classes_left_out,
    lossy_and_lossless,
    samples_and_distances,
)
from vijax.plot.vae.vae_training import (
    bound_by_samples,
    elbo_draws,
    gradient_noise,
    training_curves,
)

__all__ = [
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
]


def __dir__() -> list[str]:
    return sorted(__all__)
