"""Whether distributions have parameters that they can have, by the model's trace.

NumPyro does not look by itself: a Poisson of a negative rate is drawn as −1, one of an
infinite rate as the largest integer.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array
from numpyro.distributions import constraints

from vijax.vi.targets.models.model_sites import is_factor


def invalid_parameters(trace: dict[str, Any], known: Any) -> dict[str, Array]:
    """Return whether a parameter of a drawn site is not valid, by "rate of y".

    Not looked at are sites in control flow and under a mask, parameters whose range
    depends on others, and matrices.

    Args:
        trace: of one run of a model.
        known: names of sites that are not drawn.
    """
    found = {}
    for name, site in trace.items():
        if site["type"] != "sample" or site["is_observed"] or is_factor(site):
            continue
        if name in known or site.get("_control_flow_done", False):
            continue
        for parameter, constraint, value in _parameters(site["fn"]):
            valid = constraint(value) & jnp.isfinite(value)
            found[f"{parameter} of {name}"] = ~jnp.all(valid)
    return found


def _parameters(distribution: Any) -> list[tuple[str, Any, Any]]:
    """Return name, constraint and value of what is a number each."""
    while hasattr(distribution, "base_dist"):
        if getattr(distribution, "_mask", True) is not True:
            return []
        distribution = distribution.base_dist
    return [
        (name, constraint, value)
        for name, constraint in distribution.arg_constraints.items()
        if not constraints.is_dependent(constraint)
        and constraint.event_dim == 0
        and (value := vars(distribution).get(name)) is not None
    ]
