"""Whether a training did its work: one word, and what to do next.

    converged         the loss has stopped falling
    still improving   it has not, or there were too few epochs to say
    diverged          it ended above where it began or had been, or was not finite
    nothing learned   it is where it began, no better than a model without latents, or
                      a VAE's latents carry nothing

The judge sees the mean loss of each epoch with its standard error over the steps, the
loss of the first step, before anything was learned, and where it is known that of a
model without latents (`baseline`). A loss that still falls by more than its noise and
by more than `STILL` of all that was gained, from one fifth of the epochs to the next,
is still improving. One that has stopped above the model without latents has learned
nothing, however far it came.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

CONVERGED, IMPROVING = "converged", "still improving"
DIVERGED, NOTHING = "diverged", "nothing learned"
WORST_FIRST = (DIVERGED, NOTHING, IMPROVING, CONVERGED)
STILL = 0.005  # of the whole gain, from a fifth of the epochs to the next
FEWEST_EPOCHS = 5  # below which nobody can say that a loss has stopped falling
LEAST_KL = 0.01  # nats, below which the latents carry nothing

ADVICE = {
    CONVERGED: "the loss has stopped falling; under a learning rate that falls to 0, "
    "more epochs from the start may still gain",
    IMPROVING: "give more epochs, twice as many to begin with",
    DIVERGED: "lower the learning rate (a tenth), and bring the data near 1 "
    "(event_tables.fit_scale for a table)",
    NOTHING: "give more epochs or another learning rate (ten times, a tenth), bring "
    "the data near 1, and see that the model has room for what they hold",
}
NO_LATENTS = (
    "the KL is near 0, so the latents say nothing of an example: let the KL warm up "
    "(kl_warm_up), give free bits (losses.negative_elbo), or lower the learning rate"
)


class Verdict(NamedTuple):
    """What became of a training."""

    word: str  # of the worst run
    advice: str
    words: tuple[str, ...]  # of each run


class Curve(NamedTuple):
    """What is known of one run's loss."""

    loss: Float[np.ndarray, " epochs"]
    standard_error: Float[np.ndarray, " epochs"]
    first: float  # of the first step
    num_batches: int  # steps in an epoch
    baseline: float | None = None  # the loss of a model without latents


def judge(curve: Curve, *, warm_up: int = 0, kl: float | None = None) -> str:
    """Return the word for one run.

    Args:
        curve: of its loss.
        warm_up: epochs whose loss is not that of the others, for the KL's weight rose.
        kl: of the last epoch, in nats; None of an autoencoder.

    Example:
        >>> falling = np.array([9.0, 5.0, 3.0, 2.0, 1.0])
        >>> judge(Curve(falling, np.full(5, 0.01), 10.0, 20))
        'still improving'
        >>> flat = np.array([3.0, 1.0, 1.0, 1.0, 1.0])
        >>> judge(Curve(flat, np.full(5, 0.01), 10.0, 20))
        'converged'
    """
    error = curve.standard_error[-1]
    loss, errors, first = curve.loss, curve.standard_error, curve.first
    one_step = error * np.sqrt(curve.num_batches)  # the noise of the first step's loss
    if warm_up:
        first, one_step = loss[min(warm_up, len(loss) - 1)], error
        loss, errors = loss[warm_up:], errors[warm_up:]
    if not len(loss):  # the warm-up is not over
        return IMPROVING if np.isfinite(curve.loss[-1]) else DIVERGED
    last, lowest = loss[-1], np.nanmin(loss, initial=np.inf)
    noise = 3 * np.hypot(one_step, error)
    fallen_back = last - lowest > max(10 * error, 0.5 * abs(first - lowest))
    if not np.isfinite(last) or last > first + noise or fallen_back:
        return DIVERGED
    if (kl is not None and kl < LEAST_KL) or (not warm_up and first - last <= noise):
        return NOTHING
    if len(loss) < FEWEST_EPOCHS:
        return IMPROVING
    start = np.inf if warm_up else first
    start = start if curve.baseline is None else min(start, curve.baseline)
    part = len(loss) // FEWEST_EPOCHS
    before, after = loss[-2 * part : -part], loss[-part:]
    of_means = np.sqrt(np.sum(errors[-2 * part :] ** 2)) / part
    gained = max(min(start, first) - after.mean(), 0.0)
    if before.mean() - after.mean() > max(3 * of_means, STILL * gained):
        return IMPROVING
    return CONVERGED if after.mean() < start - 3 * of_means else NOTHING


def judge_all(
    loss: np.ndarray,
    standard_error: np.ndarray,
    first: np.ndarray,
    terms: dict[str, Any],
    *,
    num_batches: int,
    warm_up: int = 0,
    baseline: float | None = None,
    patience_over: bool = False,
) -> Verdict:
    """Return the verdict on one run, (epochs,), or on many, (epochs, runs).

    Args:
        loss: the mean of each epoch.
        standard_error: of these means.
        first: the loss of the first step, () or (runs,).
        terms: of the loss by name, as `loss`; "kl" is looked at.
        num_batches: steps in an epoch.
        warm_up: epochs over which the KL's weight rose.
        baseline: the loss of a model without latents, where it is known.
        patience_over: early stopping has ended the training.
    """
    runs = np.shape(first) or (1,)
    loss, errors = (np.reshape(x, (-1, *runs)) for x in (loss, standard_error))
    kl = terms.get("kl")
    last_kl: list[float | None] = [None] * runs[0]
    if kl is not None:
        last_kl = [float(value) for value in np.reshape(kl, (-1, *runs))[-1]]
    firsts = np.reshape(first, runs).astype(float)
    words = tuple(
        judge(
            Curve(loss[:, i], errors[:, i], float(firsts[i]), num_batches, baseline),
            warm_up=warm_up,
            kl=last_kl[i],
        )
        for i in range(runs[0])
    )
    if patience_over:  # the held-out data have spoken
        words = tuple(CONVERGED if word == IMPROVING else word for word in words)
    word = min(words, key=WORST_FIRST.index)
    advice = ADVICE[word]
    worst = [k for w, k in zip(words, last_kl, strict=True) if w == NOTHING]
    if word == NOTHING and any(k is not None and k < LEAST_KL for k in worst):
        advice = NO_LATENTS
    elif word == NOTHING and baseline is not None:
        advice += f"; without latents the loss is {baseline:.4g}"
    if patience_over and word == CONVERGED:
        advice = "held-out data improve no more: take best.params"
    return Verdict(word, advice, words)
