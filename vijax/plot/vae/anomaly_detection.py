"""Figures of anomaly detection: AUC by class, ROC curves, signals in training data."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, COLOURS, GREY, MARKERS


@style.styled
def auc_by_class(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    *,
    names: Sequence[str],
    published: Sequence[float] | None = None,
) -> Figure:
    """Draw the AUC of each class left out, one panel a model, one marker a score.

    Args:
        panels: model -> score -> (AUC of each class, its standard error).
        names: of the classes.
        published: somebody else's AUC of each class, drawn in every panel.
    """
    fig, axes = style.figure(1, len(panels), width=6.8, height=2.9, sharey=True)
    place = np.arange(len(names))
    for ax, (title, scores) in zip(axes[0], panels.items(), strict=True):
        for index, (score, (areas, errors)) in enumerate(scores.items()):
            shift = 0.2 * (index - (len(scores) - 1) / 2)
            ax.errorbar(
                place + shift,
                areas,
                yerr=1.96 * np.asarray(errors),
                fmt=MARKERS[index],
                color=COLOURS[index],
                markersize=4,
                elinewidth=1,
                label=f"{score}, mean {np.mean(np.asarray(areas)):.3f}",
            )
        if published is not None:
            label = f"published, mean {np.mean(np.asarray(published)):.3f}"
            ax.plot(place, published, "_", color=GREY, markersize=14, label=label)
        ax.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
        ax.set(xticks=place, xticklabels=names, xlabel="class left out", title=title)
        ax.legend(loc="lower center", fontsize=7)
    axes[0, 0].set(ylabel="AUC", ylim=(-0.35, 1.03), yticks=np.linspace(0, 1, 6))
    return fig


@style.styled
def roc_by_background(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike, float]]],
) -> Figure:
    """Draw ROC curves of several scores, one panel for each choice of background.

    Args:
        panels: title -> score -> (false positive rates, true positive rates, AUC);
            seven scores at most in a panel, as there are colours.

    Raises:
        ValueError: more scores.
    """
    for title, scores in panels.items():
        if len(scores) > len(COLOURS):
            raise ValueError(
                f"panels: {title!r} has {len(scores)} scores, and {len(COLOURS)} "
                "colours can be told apart: spread them over more panels"
            )
    fig, axes = style.figure(1, len(panels), width=6.8, height=3.4)
    for ax, (title, scores) in zip(axes[0], panels.items(), strict=True):
        for index, (score, (x, y, area)) in enumerate(scores.items()):
            dashes = "-" if index < 2 else (0, (4, 1.5))
            label = f"{score}   {area:.2f}"
            ax.plot(x, y, color=COLOURS[index], linestyle=dashes, label=label)
        style.roc_axes(ax, title=title)
        ax.legend(title="score, AUC", fontsize=7, title_fontsize=7, loc="lower right")
    return fig


@style.styled
def signal_injection(
    fractions: ArrayLike,
    areas: Mapping[str, tuple[ArrayLike, ArrayLike]],
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    yardstick: tuple[str, float],
) -> Figure:
    """Draw how a signal among the training events makes itself harder to detect.

    Args:
        fractions: of signal among the training events, 0 first.
        areas: score -> (AUC at each fraction, its standard error).
        curves: label -> (false positive rates, significance improvement).
        yardstick: name and AUC of the best cut for someone who knows the signal.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=3.0)
    left, right = axes[0]
    place = np.arange(len(np.asarray(fractions)))
    for index, (score, (values, errors)) in enumerate(areas.items()):
        left.errorbar(
            place + 0.08 * (index - (len(areas) - 1) / 2),
            values,
            yerr=1.96 * np.asarray(errors),
            marker=MARKERS[index],
            color=COLOURS[index],
            markersize=4,
            linewidth=1,
            label=score,
        )
    name, area = yardstick
    left.axhline(area, color=BLACK, linewidth=1, linestyle="--", label=name)
    left.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    left.set(
        xticks=place,
        xticklabels=[f"{100 * f:g} %" for f in np.asarray(fractions)],
        xlabel="signal among the training events",
        ylabel="AUC",
        title="Areas with 95 % intervals",
    )
    low, high = left.get_ylim()
    left.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
    left.legend(fontsize=7, loc="upper right", ncols=2)
    for index, (label, (x, y)) in enumerate(curves.items()):
        dashes = "--" if label == name else "-"
        colour = BLACK if label == name else COLOURS[index]
        right.plot(x, y, color=colour, linestyle=dashes, label=label)
    right.axhline(1, color=GREY, linewidth=1, linestyle=":")
    right.set(
        xscale="log",
        yscale="log",
        ylim=(0.3, None),
        xlabel="background that passes the cut",
        ylabel="significance gained, S/√B",
        title="What a cut on the score gains",
    )
    right.legend(fontsize=7)
    return fig
