"""Figures of a VAE's training, and of the noise of its estimators."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from vijax.plot import style


@style.styled
def training_curves(
    train: Mapping[str, ArrayLike], test_epochs: ArrayLike, test_elbo: ArrayLike
) -> Figure:
    """Draw the ELBO and its two terms over the epochs.

    Args:
        train: "log_likelihood" and "kl" of the training images, (epochs,), in nats.
        test_epochs: when the test images were evaluated.
        test_elbo: their ELBO in nats.
    """
    log_likelihood, kl = np.asarray(train["log_likelihood"]), np.asarray(train["kl"])
    epochs = 1 + np.arange(len(kl))
    fig, axes = style.figure(1, 2, width=6.8)
    left, right = axes[0]
    left.plot(
        epochs, log_likelihood, color=style.GREEN, label="E[log p(x | z)], training"
    )
    left.plot(epochs, log_likelihood - kl, color=style.BLUE, label="ELBO, training")
    left.plot(test_epochs, test_elbo, "o", ms=3.5, color=style.RED, label="ELBO, test")
    _set_ylim(left, log_likelihood - kl, top=float(log_likelihood.max()))
    left.set(xlabel="epoch", ylabel="nats per image")
    left.legend(loc="lower right")
    right.plot(epochs, kl, color=style.ORANGE)
    right.set(xlabel="epoch", ylabel="KL[q ‖ prior] / nats per image")
    return fig


@style.styled
def gradient_noise(
    running: Mapping[str, tuple[ArrayLike, ArrayLike]],
    draws: ArrayLike,
    exact: float,
    spreads: Mapping[str, ArrayLike],
    components: Sequence[str],
) -> Figure:
    """Draw how gradient estimators converge, and the standard deviation of a draw.

    Args:
        running: estimator -> (mean, standard error) of one component after each
            number of draws.
        draws: those numbers.
        exact: the component's exact value.
        spreads: estimator -> standard deviation of one draw of each component.
        components: their names.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=2.9)
    left, right = axes[0]
    for colour, (name, (mean, error)) in zip(
        style.COLOURS, running.items(), strict=False
    ):
        mean, error = np.asarray(mean), np.asarray(error)
        left.plot(draws, mean, color=colour, label=name)
        left.fill_between(
            draws, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0
        )
    left.axhline(exact, color=style.BLACK, linewidth=1, linestyle="--", label="exact")
    centre = 3 * max(abs(exact), float(np.asarray(running[next(iter(running))][1])[0]))
    left.set(xscale="log", xlabel="draws of z", ylim=(exact - centre, exact + centre))
    left.set_ylabel(f"estimate of {components[0]}")
    fig.legend(loc="outside upper center", ncols=len(running) + 1)
    width = 0.8 / len(spreads)
    at = np.arange(len(components))
    for i, spread in enumerate(spreads.values()):
        offset = (i - (len(spreads) - 1) / 2) * width
        colour = style.COLOURS[i]
        right.bar(at + offset, np.asarray(spread), width, color=colour)
    right.set_xticks(at, components)
    right.set(yscale="log", ylabel="sd of one draw")
    right.yaxis.set_minor_formatter(NullFormatter())
    return fig


@style.styled
def elbo_draws(
    estimates: Mapping[int, ArrayLike], exact: float, *, unit: str = "nats"
) -> Figure:
    """Draw the ELBO's estimates from L draws of z, and their spread against L.

    Args:
        estimates: L -> repeated estimates of one example's ELBO.
        exact: its exact value.
        unit: of the ELBO.
    """
    fig, axes = style.figure(1, 2, width=6.8)
    left, right = axes[0]
    numbers = list(estimates)
    values = [np.asarray(estimates[number]) for number in numbers]
    low, high = np.quantile(values[0], [0.005, 0.995])
    for colour, number, value in zip(style.COLOURS, numbers, values, strict=False):
        left.hist(
            value,
            bins=np.linspace(low, high, 60),
            density=True,
            histtype="step",
            linewidth=1.4,
            color=colour,
            label=f"L = {number}",
        )
    left.axvline(exact, color=style.BLACK, linewidth=1, linestyle="--", label="exact")
    left.set(xlabel=f"estimate of one image's ELBO / {unit}", ylabel="density")
    left.legend(loc="upper left")
    spread = [value.std(ddof=1) for value in values]
    right.loglog(numbers, spread, "o", color=style.BLUE, label="estimates")
    right.loglog(
        numbers,
        spread[0] * np.sqrt(numbers[0] / np.asarray(numbers)),
        color=style.GREY,
        linewidth=1,
        label="1 / √L",
    )
    right.set(xlabel="draws L", ylabel=f"standard deviation / {unit}")
    right.set_xticks(numbers, [str(number) for number in numbers])
    right.minorticks_off()
    right.set_yticks(spread, [f"{value:.2g}" for value in spread])
    right.legend()
    return fig


@style.styled
def bound_by_samples(
    train_bound: ArrayLike,
    samples: ArrayLike,
    bound: ArrayLike,
    standard_error: ArrayLike,
) -> Figure:
    """Draw the bound over the training, and how it rises with the draws k.

    Args:
        train_bound: of the training images after each epoch, in nats per image.
        samples: numbers of draws.
        bound: of test images for each of them, in nats per image.
        standard_error: of the draws.
    """
    fig, axes = style.figure(1, 2, width=6.8)
    left, right = axes[0]
    values = np.asarray(train_bound)
    left.plot(1 + np.arange(len(values)), values, color=style.BLUE)
    _set_ylim(left, values, top=float(values.max()))
    left.set(xlabel="epoch", ylabel="training bound / nats per image")
    right.errorbar(samples, bound, standard_error, fmt="o-", ms=4, color=style.RED)
    right.set(xscale="log", xlabel="draws k", ylabel="test bound / nats per image")
    return fig


def _set_ylim(ax: Axes, values: np.ndarray, *, top: float) -> None:
    """Leave out the first epochs: they are far below the rest and would hide it."""
    bottom = float(np.quantile(values, 0.02))
    height = (top - bottom) or 1.0  # of a single epoch: none
    ax.set_ylim(bottom - 0.05 * height, top + 0.1 * height)
