"""An autoencoder: reconstructions, its latent map, and the gaps in it (L17-L19).

z = g(x), x' = f(z), trained on the mean squared error. Its
reconstructions are compared with those of as many principal components. What it decodes
from latents between those of the data is drawn and measured.
"""

from dataclasses import dataclass
from math import prod

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from experiments import common
from experiments.studies import image_data
from vijax.data import Dataset
from vijax.plot.vae import latent_space as plot
from vijax.vae import training
from vijax.vae.evaluation import latent_gaps
from vijax.vae.evaluation import latent_maps as latent
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams


@dataclass(frozen=True)
class Config:
    """Settings; the defaults are the lecture's."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, a path, or auto
    latent: int = 2  # latent dimensions, 2 or more; two are drawn
    hidden: tuple[int, ...] | None = None  # of the encoder; None: what suits the data
    epochs: int | None = None  # passes over the data; None: 150 for digits, 30 others
    batch_size: int = 128  # images in a step
    learning_rate: float = 1e-3  # Adam's at the first step; falls along a cosine
    grid: int = 15  # decoded images along each side of the grid
    gap_samples: int = 2000  # latents drawn to measure the gaps
    seed: int = 0  # of every random number


def run(config: Config) -> common.Result:
    """Train the autoencoder, draw its latent space, and measure it."""
    dataset = image_data.load(config.dataset)
    common.check_at_least(2, latent=config.latent, grid=config.grid)
    common.check_at_least(100, gap_samples=config.gap_samples)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    model, trained = fit(config, dataset, keys[0])
    params = trained.params

    z = latent.latent_means(model, params, dataset.test)
    test_mse = _mse(latent.decoded_means(model, params, z), dataset.test)
    pca_images, pca_mse = principal_components(dataset, config.latent)
    z = latent.latent_means(model, params, dataset.train)
    gap_metrics, decoded = measure_gap(
        model, params, dataset, keys[1], config.gap_samples
    )
    metrics = {
        "test_mse": test_mse,
        "pca_mse": pca_mse,
        "train_mse": trained.loss,
        "pixels": prod(model.shape),
        "latent": config.latent,
        "parameters": autoencoders.num_params(params),
        "epochs": len(trained.loss),
        "latent_low": z.min(axis=0),
        "latent_high": z.max(axis=0),
        "rejected_steps": trained.num_rejected,
    } | gap_metrics
    figures = draw(config, dataset, model, params, decoded, pca_images)
    return common.Result(metrics, figures, dataset.name)


def hidden_for(dataset: Dataset, hidden: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the widths asked for, or a fit to the images: 512, 256 for MNIST's."""
    if hidden is not None:
        return hidden
    return (256, 128) if image_data.is_small(dataset) else (512, 256)


def epochs_for(dataset: Dataset, epochs: int | None) -> int:
    """Return the epochs asked for, or what is enough: small sets need more."""
    return epochs if epochs is not None else 150 if len(dataset.train) < 10_000 else 30


def fit(
    config: Config, dataset: Dataset, key: jax.Array
) -> tuple[Autoencoder, training.Trained]:
    """Train the autoencoder."""
    model = autoencoders.autoencoder(
        dataset.train.shape[1:],
        latent=config.latent,
        hidden=hidden_for(dataset, config.hidden),
    )
    trained = training.fit(
        model,
        key,
        dataset.train,
        epochs=epochs_for(dataset, config.epochs),
        batch_size=config.batch_size,
        optimizer=training.Adam(config.learning_rate),
        description="autoencoder",
    )
    return model, trained


def principal_components(dataset: Dataset, number: int) -> tuple[np.ndarray, float]:
    """Return the test images rebuilt from principal components, and their error."""
    flat = [x.reshape(len(x), -1) for x in (dataset.train, dataset.test)]
    pca = PCA(number, svd_solver="covariance_eigh").fit(flat[0])
    rebuilt = pca.inverse_transform(pca.transform(flat[1])).reshape(dataset.test.shape)
    return rebuilt, _mse(rebuilt, dataset.test)


def measure_gap(
    model: Autoencoder,
    params: ModelParams,
    dataset: Dataset,
    key: jax.Array,
    num_samples: int,
) -> tuple[dict[str, float], latent_gaps.DecodedData]:
    """Measure which share of a uniform draw of the latent box is off the data."""
    draw_key, bootstrap_key = jax.random.split(key)
    decoded = latent_gaps.decoded_data(
        model, params, dataset.train, dataset.test[:2000]
    )
    z = latent.latent_means(model, params, dataset.train)
    uniform = latent.uniform_in_box(draw_key, z, num_samples=num_samples)
    off = latent_gaps.share_off_data(
        latent_gaps.distances_to_data(model, params, decoded, uniform),
        decoded,
        bootstrap_key,
    )
    metrics = {
        "gap_share": float(off.share),
        "gap_share_standard_error": float(off.share_standard_error),
    }
    return metrics, decoded


def draw(
    config: Config,
    dataset: Dataset,
    model: Autoencoder,
    params: ModelParams,
    decoded: latent_gaps.DecodedData,
    pca_images: np.ndarray,
) -> dict[str, Figure]:
    """Draw reconstructions, the latent map, the decoded grid and the map of gaps."""
    z = latent.latent_means(model, params, dataset.test)
    z_train = latent.latent_means(model, params, dataset.train)
    shown = first_of_each(dataset.test_labels, 10)
    grid = latent.decoded_means(model, params, latent.range_grid(z_train, config.grid))
    rows = {
        "image": dataset.test[shown],
        "autoencoder": latent.decoded_means(model, params, z[shown]),
        f"PCA, {config.latent}": np.clip(pca_images[shown], 0, 1),
    }
    return {
        "reconstructions": plot.image_rows(rows),
        "latent_map": plot.latent_scatter({"autoencoder": z}, dataset.test_labels),
        "decoded_grid": plot.image_grid(grid, latent.latent_box(z_train)),
        "gaps": plot.gap_maps(
            {"autoencoder": gap_map(model, params, decoded, z_train, z)}
        ),
    }


def gap_map(
    model: Autoencoder | VAE,
    params: ModelParams,
    decoded: latent_gaps.DecodedData,
    z_train: latent.Latents,
    z_test: latent.Latents,
    *,
    side: int = 40,
) -> plot.GapMap:
    """Measure the distance from the data over the box that they fill."""
    grid = latent.range_grid(z_train, side)
    distance = latent_gaps.distances_to_data(
        model, params, decoded, grid.reshape(side**2, -1)
    )
    ratio = distance.reshape(side, side) / np.quantile(decoded.held_out, 0.99)
    prior = isinstance(model, VAE)
    return plot.GapMap(ratio, latent.latent_box(z_train), z_test[:2000], prior)


def first_of_each(labels: np.ndarray | None, number: int) -> np.ndarray:
    """Return the index of the first image of each class, or the first few images."""
    if labels is None:
        return np.arange(number)
    return np.unique(labels, return_index=True)[1][:number]


def _mse(left: ArrayLike, right: np.ndarray) -> float:
    return float(np.mean((np.asarray(left) - right) ** 2))


def main() -> None:
    """Run from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()
