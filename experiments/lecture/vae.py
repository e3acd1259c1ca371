"""A variational autoencoder: its ELBO, latent space, samples and estimators (L20-L24).

q(z | x) = N(μ(x), σ(x)²), the prior is N(0, I), and pixels are Bernoulli. Training
images are binarised at random in every step, test images once. An autoencoder is
trained beside the VAE, to compare their latent maps and what they decode between data.
"""

from dataclasses import dataclass
from math import log, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments import common
from experiments.lecture import autoencoder as ae
from experiments.lecture import vae_estimators
from experiments.studies import image_data
from vijax.data import Dataset
from vijax.plot.vae import latent_space as plot
from vijax.plot.vae import vae_training as plot_vae
from vijax.vae import training
from vijax.vae.evaluation import (
    elbo,
    latent_gaps,
    log_evidence,
)
from vijax.vae.evaluation import (
    latent_maps as latent,
)
from vijax.vae.evaluation.latent_maps import Latents
from vijax.vae.models import autoencoders, likelihoods, losses
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vi import bounds

DRAWS = 4  # of z for each test image, where the ELBO is evaluated
NODES = 300  # of the quadrature in each of two latents


@dataclass(frozen=True)
class Config:
    """Settings; the defaults are the lecture's."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, a path, or auto
    latent: int = 2  # latent dimensions, 2 or more; two are drawn
    hidden: tuple[int, ...] | None = None  # of the encoder; None: what suits the data
    epochs: int | None = None  # passes over the data; None: 150 for digits, 30 others
    autoencoder_epochs: int | None = None  # of the autoencoder beside it; None: a third
    batch_size: int = 128  # images in a step
    learning_rate: float = 1e-3  # Adam's at the first step; falls along a cosine
    num_samples: int = 1  # L, draws of z for each image in training
    grid: int = 15  # decoded images along each side of the grid
    gap_samples: int = 2000  # latents drawn to measure the gaps
    gradient_draws: int = 10_000  # draws of z for each gradient estimator
    seed: int = 0  # of every random number


def run(config: Config) -> common.Result:
    """Train the VAE and the autoencoder, evaluate, compare and draw them."""
    dataset = image_data.load(config.dataset)
    common.check_at_least(2, latent=config.latent, grid=config.grid)
    common.check_at_least(
        100, gap_samples=config.gap_samples, gradient_draws=config.gradient_draws
    )
    keys = jax.random.split(jax.random.key(config.seed), 7)
    x_test = likelihoods.binarize(keys[0], jnp.asarray(dataset.test))
    model, trained, curve = fit(config, dataset, x_test, keys[1])
    params = trained.params

    ae_model, ae_trained = ae.fit(autoencoder_config(config, dataset), dataset, keys[3])
    ours, theirs = (model, params), (ae_model, ae_trained.params)
    maps = {
        "autoencoder": latent.latent_means(*theirs, dataset.test),
        "VAE": latent.latent_means(*ours, x_test),
    }
    gap_metrics, gap_figure = compare_gaps(config, dataset, theirs, ours, keys[4])
    estimator_metrics, estimator_figures = vae_estimators.study(
        model, params, x_test[0], keys[5], config.gradient_draws
    )
    metrics = (
        elbo_metrics(model, params, x_test, keys[2])
        | {
            "train_log_likelihood": trained.terms["log_likelihood"],
            "train_kl": trained.terms["kl"],
            "test_elbo_by_epoch": curve,
            "parameters": autoencoders.num_params(params),
            "epochs": len(trained.loss),
            "rejected_steps": trained.num_rejected,
        }
        | map_metrics("autoencoder", maps["autoencoder"], keys[6])
        | map_metrics("vae", maps["VAE"], keys[6])
        | gap_metrics
        | estimator_metrics
    )
    figures = {
        "training": plot_vae.training_curves(trained.terms, *np.transpose(curve)),
        "latent_maps": plot.latent_scatter(maps, dataset.test_labels, circles=["VAE"]),
        "gaps": gap_figure,
    }
    figures |= draw_images(config, dataset, model, params, x_test, keys[6])
    return common.Result(metrics, figures | estimator_figures, dataset.name)


def fit(
    config: Config, dataset: Dataset, x_test: jax.Array, key: jax.Array
) -> tuple[VAE, training.Trained, list[tuple[int, float]]]:
    """Train the VAE; also return (epoch, test ELBO) at about 15 epochs on the way."""
    model = autoencoders.vae(
        dataset.train.shape[1:],
        latent=config.latent,
        hidden=ae.hidden_for(dataset, config.hidden),
    )
    epochs = ae.epochs_for(dataset, config.epochs)
    every = max(1, epochs // 15)
    curve = []

    def on_epoch(epoch: int, params: ModelParams, terms: dict[str, float]) -> None:
        if epoch % every == 0 or epoch == epochs:
            value = elbo.held_out_elbo(
                model, params, key, x_test, num_samples=DRAWS
            ).elbo
            curve.append((epoch, float(value)))

    trained = training.fit(
        model,
        key,
        dataset.train,
        epochs=epochs,
        loss=losses.negative_elbo(model, num_samples=config.num_samples),
        batch_size=config.batch_size,
        optimizer=training.Adam(config.learning_rate),
        on_epoch=on_epoch,
        description="vae",
    )
    return model, trained, curve


def autoencoder_config(config: Config, dataset: Dataset) -> ae.Config:
    """Return the settings of the autoencoder that stands beside the VAE."""
    epochs = max(1, ae.epochs_for(dataset, config.epochs) // 3)
    return ae.Config(
        latent=config.latent,
        hidden=ae.hidden_for(dataset, config.hidden),
        epochs=config.autoencoder_epochs or epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
    )


def elbo_metrics(
    model: VAE, params: ModelParams, x: jax.Array, key: jax.Array
) -> dict[str, float]:
    """Return the test ELBO and its terms in nats per image, beside log p(x) itself."""
    terms = elbo.elbo_per_example(model, params, key, x, num_samples=DRAWS)
    estimate = elbo.mean_elbo(terms)
    metrics = {
        "test_elbo": estimate.elbo,
        "test_elbo_standard_error": estimate.elbo_standard_error,
        "test_elbo_draw_standard_error": estimate.draw_standard_error,
        "reconstruction": estimate.log_likelihood,
        "reconstruction_standard_error": estimate.log_likelihood_standard_error,
        "kl": estimate.kl,
        "kl_standard_error": estimate.kl_standard_error,
        "bits_per_pixel": -estimate.elbo / log(2) / prod(model.shape),
    }
    if model.latent == 2:
        exact = log_evidence.quadrature_log_evidence(model, params, x, num_nodes=NODES)
        looseness = exact - terms.log_likelihood + terms.kl
        metrics |= {
            "test_log_evidence": exact.mean(),
            "test_log_evidence_standard_error": bounds.standard_error(exact),
            "looseness": looseness.mean(),
            "looseness_standard_error": bounds.standard_error(looseness),
        }
    return {name: float(value) for name, value in metrics.items()}


def map_metrics(name: str, z: Latents, key: jax.Array) -> dict[str, Any]:
    """Return range, centre, spread and distance to N(0, I) of a latent map."""
    values = np.asarray(z)  # NumPy compiles nothing
    return {
        f"{name}_low": values.min(axis=0),
        f"{name}_high": values.max(axis=0),
        f"{name}_centre": values.mean(axis=0),
        f"{name}_standard_deviation": values.std(axis=0),
        f"{name}_kl_of_moments": float(latent.kl_of_moments(z)),
        f"{name}_sliced_wasserstein": float(latent.sliced_wasserstein(z, key)),
    }


def compare_gaps(
    config: Config,
    dataset: Dataset,
    theirs: tuple[Any, ModelParams],
    ours: tuple[Any, ModelParams],
    key: jax.Array,
) -> tuple[dict[str, float], Figure]:
    """Measure both models' gaps under the draws that each one has to offer."""
    metrics, panels = {}, {}
    keys = jax.random.split(key, 4)
    for name, title, pair in (
        ("autoencoder", "autoencoder", theirs),
        ("vae", "VAE", ours),
    ):
        decoded = latent_gaps.decoded_data(*pair, dataset.train, dataset.test[:2000])
        z = latent.latent_means(*pair, dataset.train)
        z_test = latent.latent_means(*pair, dataset.test)
        normal = jax.random.normal(keys[0], (config.gap_samples, z.shape[1]))
        draws = {
            "uniform": latent.uniform_in_box(keys[1], z, num_samples=config.gap_samples)
        }
        if name == "vae":
            draws["prior"] = normal
        else:
            # The best that an autoencoder can do without more modelling.
            scale = np.linalg.cholesky(np.cov(z, rowvar=False))
            draws["gaussian"] = z.mean(axis=0) + normal @ scale.T
        for kind, latents in draws.items():
            distance = latent_gaps.distances_to_data(*pair, decoded, latents)
            off = latent_gaps.share_off_data(distance, decoded, keys[2])
            metrics[f"{name}_gap_share_{kind}"] = float(off.share)
            metrics[f"{name}_gap_share_{kind}_standard_error"] = float(
                off.share_standard_error
            )
        panels[title] = ae.gap_map(*pair, decoded, z, z_test)
    return metrics, plot.gap_maps(panels)


def draw_images(
    config: Config,
    dataset: Dataset,
    model: VAE,
    params: ModelParams,
    x_test: jax.Array,
    key: jax.Array,
) -> dict[str, Figure]:
    """Draw reconstructions, the decoded grid and images decoded from the prior."""
    keys = jax.random.split(key)
    shown = ae.first_of_each(dataset.test_labels, 10)
    z = latent.latent_means(model, params, x_test[shown])
    rows = {
        "image": dataset.test[shown],
        "binarised": x_test[shown],
        "VAE": latent.decoded_means(model, params, z),
    }
    grid = latent.quantile_grid(config.grid, config.latent)
    prior = jax.random.normal(keys[0], (6, 15, config.latent))
    return {
        "reconstructions": plot.image_rows(rows),
        "decoded_grid": plot.image_grid(
            latent.decoded_means(model, params, grid),
            (0.0, 1.0, 0.0, 1.0),
            unit=", quantile of N(0, 1)",
        ),
        "prior_samples": plot.image_grid(latent.decoded_means(model, params, prior)),
    }


def main() -> None:
    """Run from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()
