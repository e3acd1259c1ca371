"""What is refused before anything is drawn at new arguments, and why, by name."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.validate import is_traced
from vijax.vi.result import Fit
from vijax.vi.targets.arguments.looked_up import require_unchanged
from vijax.vi.targets.models import replay
from vijax.vi.targets.models.replay import Rerun, SeenSite
from vijax.vi.targets.target import Target


def check_same_model(target: Target) -> dict[str, SeenSite]:
    """Raise a ValueError where the model has other unknowns than at the fit.

    So it is where what the function looks up has changed since. Returns the sites that
    the model has now, at the fit's own arguments.
    """
    require_unchanged(target.static.function, target.static.looked_up)
    seen = replay.rerun(target).sites
    known = {site.name for site in target.static.sites}
    known |= {site.name for site in target.static.discrete}
    now = {name for name, site in seen.items() if not site.is_observed}
    shapes = jax.eval_shape(target.constrain, target.init) if now == known else {}
    changed = [
        f"{site.name!r} of shape {seen[site.name].shape}"
        for site in target.static.sites
        if site.name in shapes and shapes[site.name].shape != seen[site.name].shape
    ]
    if now != known or changed:
        raise ValueError(
            f"the model has changed since the fit, which knows {sorted(known)}; it now "
            f"has the unknown sites {sorted(now)} {', '.join(changed)}".rstrip()
            + ": fit it again"
        )
    return seen


def check_values(target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise a ValueError for NaN in new arguments, and other axes than the fit's."""
    own = replay.own_arguments(target)
    for name, new in replay.new_arguments(target, args, kwargs).items():
        old = own.get(name)
        structure: Any = jax.tree.structure
        same = structure(old) == structure(new)
        olds = jax.tree.leaves(old) if same else [None] * len(jax.tree.leaves(new))
        for before, leaf in zip(olds, jax.tree.leaves(new), strict=True):
            _check_is_numbers(name, leaf)
            _check_nan(name, before, leaf)
            if before is not None:
                _check_axes(name, before, leaf)


def _check_is_numbers(name: str, leaf: Any) -> None:
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "biufcV":
        raise ValueError(
            f"{name} is not valid: it is an array of {leaf.dtype}; give numbers, words "
            "as their places in a list, say"
        )


def _check_nan(name: str, before: Any, leaf: Any) -> None:
    if is_traced(leaf) or not _is_floating(leaf):
        return
    number = int(np.sum(np.isnan(np.asarray(leaf))))
    allowed = before is not None and _is_floating(before)
    if number and not (allowed and np.isnan(np.asarray(before)).any()):
        raise ValueError(
            f"{name} is not valid: {number} of its {np.size(leaf)} numbers are NaN, "
            "and the fit's had none; fill them in, or leave these rows out"
        )


def _is_floating(leaf: Any) -> bool:
    is_number = isinstance(leaf, float | np.ndarray | np.generic | jax.Array)
    return is_number and bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def _check_axes(name: str, before: Any, leaf: Any) -> None:
    """Refuse what a model would broadcast in silence."""
    old, new = np.shape(before), np.shape(leaf)
    if old and len(new) > len(old):
        raise ValueError(
            f"{name} is not valid: it has {len(new)} axes, {new}, and had {len(old)} "
            f"in the fit, {old}; give as many, and more sets of inputs by jax.vmap"
        )
    if len(new) < len(old):
        return  # one row, say
    for axis in range(1, len(old)):
        if new[axis] == 1 and old[axis] > 1:
            raise ValueError(
                f"{name} is not valid: its axis {axis} has size 1, and had "
                f"{old[axis]} in the fit, {old}: it would be broadcast; give all of it"
            )


def parameters_in_words(
    invalid: dict[str, Any], invalid_at_fit: Callable[[], Iterable[str]]
) -> str:
    """Say of which draws a distribution's parameters are not valid; "" of none.

    A model that has them at the fit's own arguments, too, means them.

    Args:
        invalid: whether they are not, draw by draw, by "rate of y".
        invalid_at_fit: returns the names of those that are so at the fit's arguments.

    Raises:
        ValueError: they are not valid at any draw.
    """
    shares = {name: float(np.mean(bad)) for name, bad in invalid.items()}
    names = [name for name, share in shares.items() if share > 0]
    if not names:
        return ""
    meant = set(invalid_at_fit())
    names = [name for name in names if name not in meant]
    for name in names:
        if shares[name] == 1:
            raise ValueError(
                f"the model cannot be drawn at these arguments: {name} is outside of "
                "its range, or infinite, at every draw; look for a sign, a zero or an "
                "infinity in the arguments"
            )
    told = [f"{name} is outside of its range at {shares[name]:.1%}" for name in names]
    return f"Of the draws {', '.join(told)}: these mean nothing." if told else ""


def check_new_run(
    own: dict[str, SeenSite] | None,
    run: Rerun,
    values: dict[str, Array],
    fresh: tuple[str, ...],
) -> None:
    """Raise a ValueError where the model at new arguments cannot be predicted.

    Args:
        own: sites of the model at the fit's arguments; None where there is no fit.
        run: the model at the new arguments.
        values: draws of the unknowns that the fit knows, draws first.
        fresh: names of those that are drawn from the model.
    """
    for name in fresh:
        if name not in values:
            raise ValueError(
                f"fresh = {fresh!r} is not valid: {name!r} is no unknown site of the "
                f"fit; it has {sorted(values)}"
            )
    observed = []
    for name, site in run.sites.items():
        if site.subsampled:
            raise ValueError(
                f"the model takes a subsample of plate {site.subsampled[0]!r} at these "
                "arguments: predict all rows, without subsample_size"
            )
        if site.is_observed:
            observed.append(name)
        elif name in values and name not in fresh:
            _check_shape(name, site, values[name].shape[1:])
    if run.replicates and observed:
        raise ValueError(
            f"site {observed[0]!r} is observed by a handler inside a scan, and cannot "
            "be drawn: give the data as an argument, and None here"
        )
    if own is not None and not run.replicates:
        _check_names(own, run, values)


def _check_shape(name: str, site: SeenSite, known: tuple[int, ...]) -> None:
    new = site.shape
    longer = site.in_control_flow and bool(new) and bool(known)
    if new == known or (longer and new[1:] == known[1:] and new[0] > known[0]):
        return
    raise ValueError(
        f"unknown site {name!r} has shape {known} in the fit and {new} at these "
        "arguments: for new rows or groups, drawn from the model given the others, "
        f"give fresh=({name!r},); else give arguments of the fit's sizes"
    )


def _check_names(
    own: dict[str, SeenSite], run: Rerun, values: dict[str, Array]
) -> None:
    """Refuse unknowns that the fit does not know, and a run that predicts nothing."""
    new = [
        name
        for name, site in run.sites.items()
        if name not in values and name not in own
    ]
    if new:
        raise ValueError(
            f"the model has a site {new[0]!r} at these arguments that the fit does not "
            "know: the model has changed since the fit, or takes another branch; fit "
            "it again, or give arguments of the same branch"
        )
    predicted = [
        name
        for name, site in run.sites.items()
        if name not in values and (not site.is_observed or site.in_control_flow)
    ]
    if not predicted and any(site.is_observed for site in run.sites.values()):
        given = [name for name, site in run.sites.items() if site.is_observed]
        raise ValueError(
            f"nothing is left to be predicted: site {given[0]!r} is observed at these "
            "arguments; give None for its data"
        )


def require_no_discrete(fit: Fit, purpose: str) -> None:
    """Raise a ValueError where discrete unknowns are summed out."""
    names = [site.name for site in fit.target.static.discrete]
    if names:
        raise ValueError(
            f"fit is of a model that sums out {names}, for which {purpose} is not "
            "known observation by observation: write the sum as a distribution, such "
            "as dist.MixtureSameFamily"
        )
