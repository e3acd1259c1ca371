"""Indices at new arguments that reach beyond an array's end: refused, by name."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.engine.compilation import density_jit
from vijax.vi.targets.models import replay
from vijax.vi.targets.models.replay import Model, Rerun
from vijax.vi.targets.models.scan_steps import first_in_steps
from vijax.vi.targets.target import Target


def check_indices(
    target: Target,
    run: Rerun,
    given: tuple[tuple[Any, ...], dict[str, Any]],
    values: dict[str, Array],
    key: Key,
) -> None:
    """Raise a ValueError where the model would index beyond an array's end.

    JAX takes the last entry there, in silence: group 7 of 5 would be predicted as group
    4. One draw is run with its indices checked, where an integer argument is outside of
    the range that it had in the fit. All sites are given, for samplers index tables as
    they like; and a model that does so at the fit's own arguments means it.

    Args:
        target: of the fit.
        run: the model at the new arguments.
        given: these.
        values: draws of all sites there, draws first.
        key: random key.
    """
    own = replay.own_arguments(target)
    beyond = {
        name: range_
        for name, new in replay.new_arguments(target, *given).items()
        if (range_ := _beyond(own.get(name), new)) is not None
    }
    if not beyond or is_traced(values, run.data):
        return
    message = _index_error(run, values, key)
    if message is None:
        return
    before = replay.rerun(target)
    kept = {site.name: values[site.name] for site in target.static.sites}
    same = {
        name: x for name, x in kept.items() if x.shape[1:] == before.sites[name].shape
    }
    if _index_error(before, same, key) is None:
        name, (old, new) = next(iter(beyond.items()))
        raise ValueError(
            f"{name} is not valid: its integers go from {new[0]} to {new[1]}, those of "
            f"the fit from {old[0]} to {old[1]}, and the model finds no such entry "
            f"({message}); give indices that the fit knows, or, for new groups, a "
            "model of more of them and fresh=(their site,)"
        )


def _index_error(run: Rerun, values: dict[str, Array], key: Key) -> str | None:
    """Return what JAX says of an index beyond an array's end at the first draw."""
    first = first_in_steps(run.model.backwards, values)
    given = run.model, run.data, first, key
    message = _with_indices_checked(*given, replicates=run.replicates).get()
    return None if message is None else str(message).strip()


@partial(density_jit, static_argnums=0, static_argnames="replicates")
def _with_indices_checked(
    model: Model,
    data: list[Array],
    values: dict[str, Array],
    key: Key,
    *,
    replicates: bool,
) -> checkify.Error:
    def one(values: dict[str, Array]) -> Any:
        return replay.generate(model, data, values, key, replicates=replicates).values

    return checkify.checkify(one, errors=checkify.index_checks)(values)[0]


def _beyond(before: Any, new: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return both ranges of integers where the new one is not within the other."""
    ranges = []
    for value in (before, new):
        leaves = [
            np.asarray(leaf)
            for leaf in jax.tree.leaves(value)
            if not is_traced(leaf)
            and jnp.issubdtype(jnp.result_type(leaf), jnp.integer)
            and np.size(leaf)
        ]
        if not leaves:
            return None
        low, high = min(x.min() for x in leaves), max(x.max() for x in leaves)
        ranges.append((int(low), int(high)))
    old, now = ranges
    return (old, now) if now[0] < old[0] or now[1] > old[1] else None
