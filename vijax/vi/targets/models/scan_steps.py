"""Values of sites in a `scan`, in the order of its steps; other sites as they are.

A scan that is reversed takes the last entry first. A target has the values of its sites
in the order of `xs`, the model asks for them step by step.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def by_step(backwards: tuple[str, ...], name: str, value: Any) -> Array:
    """Put the entries of a site into the order of its steps, or those back into its.

    Args:
        backwards: names of the sites in reverse scans.
        name: of the site.
        value: of one draw.
    """
    return jnp.flip(value, 0) if name in backwards else jnp.asarray(value)


def in_steps(backwards: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Array]:
    """Return draws of sites, draws first, in the order of their scans' steps."""
    return {
        name: jax.vmap(partial(by_step, backwards, name))(jnp.asarray(x))
        for name, x in values.items()
    }


def first_in_steps(
    backwards: tuple[str, ...], values: Mapping[str, Any]
) -> dict[str, Array]:
    """Return the first of the draws of sites, in the order of their scans' steps."""
    return {name: by_step(backwards, name, x[0]) for name, x in values.items()}


def at_step(site: dict[str, Any], value: Array) -> Array:
    """Return the entry of a scanned site that its step needs; else `value`."""
    step = site["infer"].get("_scan_current_index")
    return value if step is None else value[step]


def with_axes(site: dict[str, Any], value: Array) -> Array:
    """Give a value in a scan the axes that enumeration put before the site's own."""
    in_scan = site["infer"].get("_scan_current_index") is not None
    missing = len(site["fn"].shape()) - jnp.ndim(value) if in_scan else 0
    return jnp.expand_dims(value, tuple(range(missing))) if missing > 0 else value
