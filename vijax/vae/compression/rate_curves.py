r"""Rate against distortion of quantised latents, for autoencoders and for PCA.

    curve = autoencoder_curves(model, params, train, test, levels=(4, 8, 16))
    pca = pca_curves(train, test, latents=(2, 4), levels=(4, 8, 16))
    rate, psnr = pareto_front(bits_per_pixel, peak_signal_to_noise)
    best_saving(rate, psnr, pca_rate, pca_psnr)

Each curve is a `lossy.RateDistortion` whose fields have the shape (runs, levels): one
run for each number of latents, all in one program. What the receiver needs before the
first image, the decoder, is `decoder_bits` or `pca_bits`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.vae import training
from vijax.vae.compression import baselines, lossy
from vijax.vae.compression.lossy import RateDistortion
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.validate import check, is_whole


class Saving(NamedTuple):
    """The point of a code at which it saves most over another of its distortion."""

    point: int  # its number
    other_rate: float  # of the other code at this distortion
    ratio: float  # of the rates, other over this


def autoencoder_curves(
    model: Autoencoder | VAE,
    params: ModelParams,
    train: Any,
    test: Any,
    *,
    levels: Sequence[int],
) -> RateDistortion:
    """Return rate and distortion of each run at each number of quantiser levels.

    Args:
        model: the architecture.
        params: with a leading axis of runs, from `training.fit_ensemble`.
        train: (n, *shape), images whose latents fix the grid and the code.
        test: (m, *shape), held-out images that are coded.
        levels: on a latent's axis, 2 or more each.

    Returns:
        `RateDistortion` of shape (runs, levels).

    Raises:
        ValueError: if a level is not a whole number of 2 or more.

    Example:
        >>> model = autoencoders.autoencoder((4,), latent=1, hidden=())
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> params = jax.vmap(lambda key: autoencoders.init(model, key))(keys)
        >>> x = np.eye(4, dtype=np.float32)
        >>> autoencoder_curves(model, params, x, x, levels=(2, 4)).bits.shape
        (3, 2)
    """
    train, test = jnp.asarray(train), jnp.asarray(test)
    return _autoencoder_curves(model, _checked(levels), params, train, test)


@partial(jax.jit, static_argnums=(0, 1))
def _autoencoder_curves(
    model: Autoencoder | VAE,
    levels: tuple[int, ...],
    params: ModelParams,
    train: Array,
    test: Array,
) -> RateDistortion:
    def one_run(params: ModelParams) -> RateDistortion:
        return _over_levels(
            autoencoders.latent_mean(model, params, train),
            autoencoders.latent_mean(model, params, test),
            test,
            partial(autoencoders.decoded_mean, model, params),
            levels,
            shared_step=False,
        )

    return jax.lax.map(one_run, params)


def pca_curves(
    train: Any, test: Any, *, latents: Sequence[int], levels: Sequence[int]
) -> RateDistortion:
    """Return rate and distortion of principal components.

    All components share the quantiser's step, which is best for a linear decoder.

    Args:
        train: (n, *shape), images that fix the components, the grid and the code.
        test: (m, *shape), held-out images that are coded.
        latents: components kept in each run.
        levels: on the axis of the widest component, 2 or more each.

    Returns:
        `RateDistortion` of shape (runs, levels).

    Raises:
        ValueError: if a level is not a whole number of 2 or more, or a number of
            components not among 1 to the number of pixels.

    Example:
        >>> x = np.eye(4, dtype=np.float32)
        >>> curve = pca_curves(x, x, latents=(1, 3), levels=(2, 64))
        >>> bool(curve.mse[1, 1] < 1e-3 < curve.mse[0, 1])  # three components are all
        True
    """
    train, test = (jnp.asarray(x).reshape(len(x), -1) for x in (train, test))
    return _pca_curves(_checked(levels), training.masks(latents), train, test)


@partial(jax.jit, static_argnums=0)
def _pca_curves(
    levels: tuple[int, ...], masks: Array, train: Array, test: Array
) -> RateDistortion:
    pca = baselines.principal_components(train, latent=masks.shape[1])

    def one_run(mask: Array) -> RateDistortion:
        return _over_levels(
            mask * ((train - pca.mean) @ pca.components.T),
            mask * ((test - pca.mean) @ pca.components.T),
            test,
            lambda z: pca.mean + z @ pca.components,
            levels,
            shared_step=True,
        )

    return jax.lax.map(one_run, masks)


def _over_levels(
    train: Array,
    test: Array,
    images: Array,
    decode: Callable[[Any], Array],
    levels: tuple[int, ...],
    *,
    shared_step: bool,
) -> RateDistortion:
    def one(num_levels: Array) -> RateDistortion:
        return lossy.rate_distortion(
            train,
            test,
            images,
            decode,
            num_levels,
            max_levels=max(levels) + 1,
            shared_step=shared_step,
        )

    return jax.lax.map(one, jnp.array(levels))


def _checked(levels: Sequence[int]) -> tuple[int, ...]:
    valid = [is_whole(n) and n >= 2 for n in levels]
    check(len(valid) >= 1 and all(valid), "levels", levels, "give numbers of 2 or more")
    return tuple(int(n) for n in levels)


def pareto_front(
    rate: Any, psnr: Any
) -> tuple[Float[np.ndarray, " front"], Float[np.ndarray, " front"]]:
    """Return the points that no cheaper one surpasses, by rising rate.

    Args:
        rate: (points,), of any unit.
        psnr: (points,), or any other quality: higher is better.

    Raises:
        ValueError: if both differ in length, or there is no point.

    Example:
        >>> rate, psnr = pareto_front([3.0, 1.0, 2.0], [30.0, 20.0, 15.0])
        >>> rate.tolist(), psnr.tolist()
        ([1.0, 3.0], [20.0, 30.0])
    """
    rate, psnr = np.asarray(rate, float), np.asarray(psnr, float)
    fits = rate.ndim == 1 and len(rate) >= 1 and psnr.shape == rate.shape
    check(fits, "psnr's shape", psnr.shape, f"give one for each rate, {rate.shape}")
    order = np.lexsort((-psnr, rate))
    rate, psnr = rate[order], psnr[order]
    keep = np.append(True, psnr[1:] > np.maximum.accumulate(psnr)[:-1])
    return rate[keep], psnr[keep]


def best_saving(
    rate: Any, psnr: Any, other_rate: Any, other_psnr: Any
) -> Saving | None:
    """Return where a code saves most over another one of the same distortion.

    The other code's rate is interpolated along its Pareto front. Points of the first
    whose quality that front does not reach are left out.

    Args:
        rate: (points,), of the code in question.
        psnr: (points,), its quality.
        other_rate: (others,), of the code beside it.
        other_psnr: (others,), its quality.

    Returns:
        `Saving`, or None if no point is within the other code's qualities.

    Raises:
        ValueError: as `pareto_front`.

    Example:
        >>> best_saving([1.0, 2.0], [15.0, 20.0], [2.0, 8.0], [10.0, 20.0])
        Saving(point=0, other_rate=5.0, ratio=5.0)
    """
    rates, qualities = pareto_front(other_rate, other_psnr)
    best: Saving | None = None
    for index, (own, quality) in enumerate(zip(rate, psnr, strict=True)):
        if not qualities[0] <= quality <= qualities[-1]:
            continue
        other = float(np.interp(quality, qualities, rates))
        ratio = float(other / own)
        if best is None or ratio > best.ratio:
            best = Saving(index, other, ratio)
    return best


def decoder_bits(
    shape: tuple[int, ...], *, latent: int, hidden: tuple[int, ...]
) -> int:
    """Return the size of an autoencoder's decoder in float32, in bits.

    Args:
        shape: of an image.
        latent: latent dimensions.
        hidden: widths of the encoder's hidden layers; the decoder mirrors them.

    Raises:
        ValueError: as `autoencoders.autoencoder`.

    Example:
        >>> decoder_bits((2, 2), latent=1, hidden=())  # 4 weights and 4 biases
        256
    """
    model = autoencoders.autoencoder(shape, latent=latent, hidden=hidden)
    params = jax.eval_shape(model.decoder.init, jax.random.key(0))
    return 32 * autoencoders.num_params(params)


def pca_bits(shape: tuple[int, ...], *, latent: int) -> int:
    """Return the size of a mean and of principal components in float32, in bits.

    Args:
        shape: of an image.
        latent: components.

    Raises:
        ValueError: if `latent` is not a whole number of 1 or more.

    Example:
        >>> pca_bits((2, 2), latent=1)
        256
    """
    check(is_whole(latent) and latent >= 1, "latent", latent, "give 1 or more")
    return 32 * (latent + 1) * prod(shape)
