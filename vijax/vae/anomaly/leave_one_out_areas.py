"""How well scores find the class that a model was not shown, with standard errors.

    masks = class_masks(train_labels, test_labels)              (classes, examples)
    class_areas(key, {"-ELBO": values}, masks)                  areas under ROC curves

Compare several scores on the same test set: `class_areas` gives all of them the same
resampled test sets, so that their errors are comparable.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from vijax.metrics import roc
from vijax.metrics.bootstrap import with_bootstrap_error
from vijax.types import Key
from vijax.validate import check

ByClass = Float[Any, "classes examples"]


class ClassAreas(NamedTuple):
    """How well one score finds each class that was left out.

    All standard errors are those of a finite test set. A second training would give
    other areas; train several times to see by how much.
    """

    auc: Float[np.ndarray, " classes"]
    auc_standard_error: Float[np.ndarray, " classes"]
    mean_auc: Any  # over classes
    mean_auc_standard_error: Any
    true_positive_rate: Float[np.ndarray, "classes rates"]
    true_positive_rate_standard_error: Float[np.ndarray, "classes rates"]


def class_masks(train_labels: Any, test_labels: Any) -> Bool[np.ndarray, "_ _"]:
    """Return which test examples belong to each class of the training labels.

    Args:
        train_labels: (n,); their distinct values, sorted, are the classes.
        test_labels: (m,).

    Returns:
        A mask of shape (classes, m), the rows in the order of `training.rows_without`.

    Raises:
        ValueError: if the labels have more than one axis, or a class has no test
            example or nothing but test examples.

    Example:
        >>> class_masks([7, 5, 7], [5, 7, 7]).tolist()
        [[True, False, False], [False, True, True]]
    """
    train_labels, test_labels = np.asarray(train_labels), np.asarray(test_labels)
    for name, labels in (("train_labels", train_labels), ("test_labels", test_labels)):
        check(labels.ndim == 1, f"{name}' axes", labels.ndim, "give one label each")
    classes = np.unique(train_labels)
    masks = test_labels == classes[:, None]
    both = masks.any(axis=1) & ~masks.all(axis=1)
    remedy = "give test examples of this class and of others"
    check(both, "train_labels", classes, remedy)
    return masks


def class_areas(
    key: Key,
    scores: Mapping[str, ByClass],
    masks: Bool[Any, "classes examples"],
    *,
    false_positive_rates: Sequence[float] | np.ndarray = (),
    num_resamples: int = 100,
    batch_size: int = 5,
) -> dict[str, ClassAreas]:
    """Return every score's areas under the ROC curve, with their standard errors.

    One Bayesian bootstrap resamples the test examples for all scores and classes at
    once, because they share these examples. So the mean over classes has an error of
    its own, which is not that of independent areas.

    Args:
        key: for the resamples.
        scores: name -> (classes, examples), higher for what looks more anomalous.
        masks: (classes, examples), whether an example is of the class left out.
        false_positive_rates: where the ROC curve is read off too.
        num_resamples: of the test examples; 2 or more.
        batch_size: resamples at once; memory only.

    Returns:
        Name -> `ClassAreas`.

    Raises:
        ValueError: if there is no score, or one has another shape than the masks; if
            a rate is outside [0, 1]; as `roc.auc` and `bootstrap.with_bootstrap_error`.

    Example:
        >>> masks = np.array([[False, False, True, True], [True, True, False, False]])
        >>> score = np.array([[0.1, 0.4, 0.35, 0.8]] * 2, np.float32)
        >>> found = class_areas(jax.random.key(0), {"a score": score}, masks)["a score"]
        >>> found.auc.tolist(), round(float(found.mean_auc), 3)
        ([0.75, 0.25], 0.5)
    """
    masks = np.asarray(masks)
    check(len(scores) >= 1, "scores", len(scores), "give one score or more")
    for name, values in scores.items():
        remedy = f"give (classes, examples), {masks.shape}"
        shape = np.shape(values)
        check(shape == masks.shape, f"the shape of scores[{name!r}]", shape, remedy)
        check(~np.isnan(values), f"scores[{name!r}]", values, "remove NaN")
    rates = np.asarray(false_positive_rates, np.float32)
    inside = (rates >= 0) & (rates <= 1)
    check(inside, "false_positive_rates", rates, "give rates in [0, 1]")
    both = masks.any(axis=1) & ~masks.all(axis=1)
    check(both, "masks", both, "give examples of both kinds for every class")
    stacked = np.stack([np.asarray(values, np.float32) for values in scores.values()])
    value, error = with_bootstrap_error(
        key,
        _measure,
        masks.shape[1],
        stacked,
        masks,
        rates if len(rates) else np.zeros(1, np.float32),  # an axis must not be empty
        num_resamples=num_resamples,
        batch_size=batch_size,
    )
    return {
        name: ClassAreas(
            value["auc"][i],
            error["auc"][i],
            value["mean_auc"][i],
            error["mean_auc"][i],
            value["rates"][i, :, : len(rates)],
            error["rates"][i, :, : len(rates)],
        )
        for i, name in enumerate(scores)
    }


def _measure(
    weights: Array, scores: Array, masks: Array, rates: Array
) -> dict[str, Array]:
    """Return areas and rates of (scores, classes, examples)."""

    def one(scores: Array, mask: Array) -> tuple[Array, Array]:
        curve = roc.roc_curve(scores, mask, weights)
        return roc.auc(scores, mask, weights), roc.true_positive_rate(curve, rates)

    found, at = jax.vmap(jax.vmap(one), in_axes=(0, None))(scores, masks)
    return {"auc": found, "mean_auc": found.mean(axis=1), "rates": at}
