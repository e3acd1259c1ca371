"""Discrete unknowns of a NumPyro model: summed out by NumPyro's enumeration (funsor).

The log density of the continuous unknowns θ is

    log p(θ, data) = log Σ_k p(θ, k, data)

over all values of the discrete sites k, chains along a `scan` included. A model can use
k in ways that enumeration cannot see (a sum over k's plate, the last state of a scan):
`check_sum` finds these. It pins k to values drawn from the prior and compares the sum,
of which one term is left, with the joint density itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer import Predictive
from numpyro.infer.util import compute_log_probs

from vijax.extras import require
from vijax.types import Key, Scalar
from vijax.vi.targets.data_arguments import join
from vijax.vi.targets.model_sites import Everywhere
from vijax.vi.targets.target import Discrete, Static, Target, TargetError

_LARGEST_ARRAY = 2**25  # numbers that a sum may hold at once
_PINS = 4  # assignments on which the sum is tried
_NEVER = -1e30  # log probability of the others; finite, so that 0 · it is 0


def require_funsor(discrete: Discrete) -> None:
    """Import funsor, or say how to install it."""
    names = ", ".join(map(repr, discrete.names))
    require("funsor", extra="enum", purpose=f"summing out discrete sites ({names})")


def summed_log_density(
    model: Callable[..., Any], args: Any, kwargs: Any, nesting: int
) -> Scalar:
    """Return log Σ_k of the model, whose continuous sites have values."""
    from numpyro.contrib.funsor import config_enumerate, enum, log_density

    model = config_enumerate(_FactorsHaveTime(model))
    summed = enum(model, first_available_dim=-nesting - 1)
    return jnp.asarray(log_density(summed, args, kwargs, {})[0])


class _FactorsHaveTime(Everywhere):
    """Gives a numpyro.factor inside a scan the time axis that NumPyro forgets."""

    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _FactorsHaveTime(function)

    def process_message(self, msg: dict[str, Any]) -> None:
        super().process_message(msg)
        if msg["type"] != "sample" or msg.get("_control_flow_done", False):
            return
        base = msg["fn"]
        while isinstance(base, dist.MaskedDistribution | dist.ExpandedDistribution):
            base = base.base_dist
        if isinstance(base, dist.Unit):
            log_factor = msg["fn"].log_prob(msg["value"])
            msg["value"] = jnp.zeros_like(log_factor)
            msg["fn"] = dist.Delta(msg["value"], log_density=log_factor)


def check_size(density: Callable[..., Array], *arguments: Any) -> None:
    """Refuse a sum whose terms are too many to be held at once."""
    jaxpr = jax.make_jaxpr(density)(*arguments)
    largest = max(
        int(np.prod(variable.aval.shape, dtype=float))
        for equation in jaxpr.eqns
        for variable in equation.outvars
    )
    if largest > _LARGEST_ARRAY:
        raise TargetError(
            f"model is not valid: the sum over its discrete sites needs {largest:.1e} "
            f"numbers at once, more than {_LARGEST_ARRAY:.1e}; put sites that are "
            "independent into a numpyro.plate, or infer them by MCMC"
        )


def check_sum(target: Target, continuous: Callable[..., Any]) -> None:
    """Refuse a model whose sum is not over its own joint density; see the module.

    Args:
        target: the model with its data.
        continuous: (model, static, params) -> the model with values for the unknowns.
    """
    sums, joints = _pinned(target.static, continuous, target.data, target.init)
    sums, joints = np.asarray(sums, float), np.asarray(joints, float)
    differ = np.where(sums == joints, 0.0, sums - joints)  # both may be -inf
    discrete = target.static.discrete
    if discrete is not None and discrete.masked:  # each value under a mask counts
        differ = differ - differ[0]
    eps = float(jnp.finfo(target.init.dtype).eps)
    finite = np.abs(joints[np.isfinite(joints)])
    tolerance = 1e-4 + 200 * eps * finite.max(initial=1.0)
    wrong = ~(np.abs(differ) <= tolerance) & ~(np.isnan(sums) & np.isnan(joints))
    if wrong.any():
        number = int(wrong.argmax())
        raise TargetError(
            "model is not valid: summing out its discrete sites by NumPyro's "
            f"enumeration gives {sums[number]:.6g} where the model's own joint log "
            f"density is {joints[number]:.6g}; the model must treat each entry of a "
            "discrete site by itself: no sum over its plate, no use of a scan's last "
            "state or outputs outside the scan"
        )


@partial(jax.jit, static_argnums=(0, 1))
def _pinned(
    static: Static, continuous: Callable[..., Any], data: list[Array], init: Array
) -> tuple[Array, Array]:
    """Return the sum with k pinned, and the joint density at k, for some k."""
    args, kwargs = join(data, static.structure)
    discrete = static.discrete
    assert discrete is not None

    def one(key: Key) -> tuple[Scalar, Scalar]:
        key, position_key = jax.random.split(key)
        position = 0.3 * jax.random.normal(position_key, init.shape, init.dtype)
        params = Target(data, init, static).unravel(position)
        model = continuous(static.function, static, params)
        log_probs, trace = compute_log_probs(
            handlers.seed(model, key), args, kwargs, {}
        )
        joint = jnp.asarray(sum(log_probs.values(), start=0.0))
        values = {name: trace[name]["value"] for name in discrete.names}
        model = continuous(_Pin(static.function, values), static, params)
        return summed_log_density(model, args, kwargs, discrete.nesting), joint

    return jax.lax.map(one, jax.random.split(jax.random.key(0), _PINS))


class _Pin(Everywhere):
    """Leaves one value of every discrete site possible."""

    def __init__(
        self, fn: Callable[..., Any], values: dict[str, Array], prefix: str = ""
    ) -> None:
        self.values = values
        self.prefix = prefix
        super().__init__(fn)

    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        # A scan's first steps are seen inside and outside of it, under this name.
        return _Pin(function, self.values, prefix="_PREV_")

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] != "sample" or msg.get("_control_flow_done", False):
            return
        name = msg["name"].replace(self.prefix, "")
        if name not in self.values:
            return
        value = self.values[name]
        step = msg["infer"].get("_scan_current_index")
        value = value if step is None else value[step]
        log_prob = jnp.where(msg["value"] == value, 0.0, _NEVER)
        numpyro.factor(f"_{name}_pin", log_prob)


def draw_discrete(
    target: Target, key: Key, values: dict[str, Array]
) -> dict[str, Array]:
    """Draw the discrete sites from p(k | θ, data), one for each draw of θ.

    Args:
        target: the model with its data.
        key: random key.
        values: constrained unknowns by name, draws first, as `target.constrain` has
            them under vmap.

    Returns:
        The discrete sites, and the deterministic sites that depend on them, by name.
    """
    known = {site.name: jnp.asarray(values[site.name]) for site in target.static.sites}
    return _draw_discrete(target.static, target.data, key, known)


@partial(jax.jit, static_argnums=0)
def _draw_discrete(
    static: Static, data: list[Array], key: Key, values: dict[str, Array]
) -> dict[str, Array]:
    args, kwargs = join(data, static.structure)
    discrete = static.discrete
    assert discrete is not None
    draw = Predictive(
        static.function,
        values,
        infer_discrete=True,
        return_sites=list(discrete.names),
    )
    drawn: dict[str, Array] = draw(key, *args, **kwargs)
    if not discrete.followers:
        return drawn

    def follow(known: dict[str, Array]) -> dict[str, Array]:
        model = handlers.seed(handlers.substitute(static.function, known), key)
        trace = handlers.trace(model).get_trace(*args, **kwargs)
        return {name: trace[name]["value"] for name in discrete.followers}

    return drawn | jax.lax.map(follow, values | drawn)
