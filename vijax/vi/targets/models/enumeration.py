"""Discrete unknowns of a NumPyro model: summed out by NumPyro's enumeration (funsor).

The log density of the continuous unknowns θ is

    log p(θ, data) = log Σ_k p(θ, k, data)

over all values of the discrete sites k, chains along a `scan` included.

With a weight w_s[k_s] added to log p for each value of each entry s, the gradient of
the sum with respect to w is p(k_s | θ, data), and w = -∞ excludes a value. Both uses
here are of that kind. `check_sum` leaves one value of each, drawn from the prior: the
sum must be the joint density itself. It is not where a model uses k in ways that
enumeration cannot see (a sum over k's plate, the last state of a scan). Where the data
all but exclude what the prior draws (an animal was seen where none lives), funsor's sum
underflows: then values are drawn that the data allow.
`draw_discrete` draws entries from their probabilities and fixes them, until all are
drawn: the entries of a plate at once, a chain from its middle, which makes both halves
independent.
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
from numpyro.infer.util import compute_log_probs

from vijax.extras import require
from vijax.types import Key, Scalar
from vijax.vi.targets.arguments.data_arguments import join
from vijax.vi.targets.models.handlers_around import apart
from vijax.vi.targets.models.model_sites import Everywhere, is_factor
from vijax.vi.targets.models.scan_steps import at_step, in_steps, with_axes
from vijax.vi.targets.target import DiscreteSite, Static, Target, TargetError

_LARGEST_ARRAY = 2**25  # numbers that a sum may hold at once
_TRIES = 4  # assignments on which the sum is tried
_NEVER = -1e30  # log probability of the others; finite, so that 0 · it is 0


def require_funsor(sites: tuple[DiscreteSite, ...]) -> None:
    """Import funsor, or say how to install it."""
    names = ", ".join(repr(site.name) for site in sites)
    require("funsor", extra="enum", purpose=f"summing out discrete sites ({names})")


def summed_log_density(
    model: Callable[..., Any], args: Any, kwargs: Any, static: Static
) -> Scalar:
    """Return log Σ_k of the model, whose continuous sites have values."""
    from numpyro.contrib.funsor import config_enumerate, enum, log_density

    summed = enum(
        config_enumerate(_FactorsHaveTime(model)),
        first_available_dim=-static.nesting - 1,
    )
    log_sum = jnp.asarray(log_density(summed, args, kwargs, {})[0])
    if any(site.masked for site in static.discrete):
        log_sum = log_sum - _log_count_of_masked(model, args, kwargs, static)
    return log_sum


def _log_count_of_masked(
    model: Callable[..., Any], args: Any, kwargs: Any, static: Static
) -> Scalar:
    """Return the log of how often NumPyro counts one value: it sums 1 under a mask."""
    seeded = handlers.seed(model, jax.random.key(0))
    trace = handlers.trace(seeded).get_trace(*args, **kwargs)
    log_count = jnp.zeros(())
    for site in static.discrete:
        mask = getattr(trace[site.name]["fn"], "_mask", True)
        masked = jnp.broadcast_to(jnp.logical_not(mask), site.shape).sum()
        log_count += masked * float(np.log(site.size))
    return log_count


class _FactorsHaveTime(Everywhere):
    """Gives a numpyro.factor inside a scan the time axis that NumPyro forgets."""

    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _FactorsHaveTime(function)

    def process_message(self, msg: dict[str, Any]) -> None:
        super().process_message(msg)
        if msg["type"] == "sample":  # enumeration writes into it; it may be shared
            msg["infer"] = dict(msg["infer"])
        if msg["type"] != "sample" or msg.get("_control_flow_done", False):
            return
        if is_factor(msg):
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
    given = target.static, continuous, target.data, target.init
    sums, joints = (np.asarray(x, float) for x in _with_one_term(*given))
    if ((sums == -np.inf) & np.isfinite(joints)).any():
        sums, joints = (np.asarray(x, float) for x in _with_likely_term(*given))
    differ = np.where(sums == joints, 0.0, sums - joints)  # both may be -inf
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


def _start(
    static: Static, data: list[Array], init: Array, key: Key
) -> tuple[Key, dict[str, Array]]:
    """Return a key that is left, and unknowns near the origin."""
    key, position_key = jax.random.split(key)
    position = 0.3 * jax.random.normal(position_key, init.shape, init.dtype)
    return key, Target(data, init, static).unravel(position)


@partial(jax.jit, static_argnums=(0, 1))
def _with_one_term(
    static: Static, continuous: Callable[..., Any], data: list[Array], init: Array
) -> tuple[Array, Array]:
    """Return the sum where one k is possible, and the joint density there."""
    args, kwargs = join(data, static.structure)

    def one(key: Key) -> tuple[Scalar, Scalar]:
        key, params = _start(static, data, init, key)
        model = handlers.seed(continuous(static.function, static, params), key)
        log_probs, trace = compute_log_probs(model, args, kwargs, {})
        joint = jnp.asarray(sum(log_probs.values(), start=0.0))
        weights = {
            site.name: _only(trace[site.name]["value"], site.size)
            for site in static.discrete
        }
        model = continuous(_Weigh(static.function, weights), static, params)
        return summed_log_density(model, args, kwargs, static), joint

    return jax.lax.map(one, jax.random.split(jax.random.key(0), _TRIES))


@partial(jax.jit, static_argnums=(0, 1))
def _with_likely_term(
    static: Static, continuous: Callable[..., Any], data: list[Array], init: Array
) -> tuple[Array, Array]:
    """Return the same for each k drawn from p(k_s | θ, data)."""
    args, kwargs = join(data, static.structure)

    def one(key: Key) -> tuple[Scalar, Scalar]:
        key, params = _start(static, data, init, key)

        def log_sum(weights: dict[str, Array]) -> Scalar:
            model = continuous(_Weigh(static.function, weights), static, params)
            return summed_log_density(model, args, kwargs, static)

        dtype = jnp.result_type(float)
        probs = jax.grad(log_sum)(
            {s.name: jnp.zeros((*s.shape, s.size), dtype) for s in static.discrete}
        )
        drawn = {
            site.name: jax.random.categorical(
                jax.random.fold_in(key, number), jnp.log(probs[site.name])
            )
            for number, site in enumerate(static.discrete)
        }
        weights = {s.name: _only(drawn[s.name], s.size) for s in static.discrete}
        model = continuous(_at(static.function, drawn), static, params)
        log_probs, _ = compute_log_probs(handlers.seed(model, key), args, kwargs, {})
        return log_sum(weights), jnp.asarray(sum(log_probs.values(), start=0.0))

    return jax.lax.map(one, jax.random.split(jax.random.key(1), _TRIES))


def _only(value: Array, size: int) -> Array:
    """Return the log weights that leave one value of each entry possible."""
    return jnp.where(value[..., None] == jnp.arange(size), 0.0, _NEVER)


class _Weigh(Everywhere):
    """Adds log weights to the values of the discrete sites, (*shape, values) each."""

    def __init__(
        self, fn: Callable[..., Any], weights: dict[str, Array], prefix: str = ""
    ) -> None:
        self.weights = weights
        self.prefix = prefix
        super().__init__(fn)

    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        # A scan's first steps are seen inside and outside of it, under this name.
        return _Weigh(function, self.weights, prefix="_PREV_")

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] != "sample" or msg.get("_control_flow_done", False):
            return
        name = msg["name"].replace(self.prefix, "")
        if name not in self.weights:
            return
        weights = at_step(msg, self.weights[name])
        is_value = msg["value"][..., None] == jnp.arange(weights.shape[-1])
        numpyro.factor(f"_{name}_weight", jnp.where(is_value, weights, 0.0).sum(-1))


@apart
def draw_discrete(
    target: Target, key: Key, values: dict[str, Array]
) -> dict[str, Array]:
    """Draw the discrete sites from p(k | θ, data), one draw for each of θ.

    Entries under a mask, of which the data say nothing, are 0.

    Args:
        target: the model with its data.
        key: random key.
        values: constrained unknowns by name, draws first, as `target.constrain` has
            them under vmap.

    Returns:
        The discrete sites, and the deterministic sites that depend on them, by name.
    """
    static = target.static
    own = {name: values[name] for name, _ in static.sites}
    known = in_steps(static.backwards, own)
    return _draw_discrete(static, target.data, key, known)


@partial(jax.jit, static_argnums=0)
def _draw_discrete(
    static: Static, data: list[Array], key: Key, values: dict[str, Array]
) -> dict[str, Array]:
    args, kwargs = join(data, static.structure)
    order = _order(static.discrete)

    def one(at: tuple[Key, dict[str, Array]]) -> dict[str, Array]:
        key, known = at

        def log_sum(weights: dict[str, Array]) -> Scalar:
            model = _at(_Weigh(static.function, weights), known)
            return summed_log_density(model, args, kwargs, static)

        def draw(weights: dict[str, Array], at: Any) -> tuple[dict[str, Array], None]:
            key, turn = at
            probs = jax.grad(log_sum)(weights)
            for number, (name, weight) in enumerate(weights.items()):
                site_key = jax.random.fold_in(key, number)
                value = jax.random.categorical(site_key, jnp.log(probs[name]))
                drawn = _only(value, weight.shape[-1])
                now = turn[name].reshape(-1, *[1] * (weight.ndim - 1))
                weights[name] = jnp.where(now, drawn, weight)
            return weights, None

        dtype = jnp.result_type(float)
        weights = {
            s.name: jnp.zeros((*s.shape, s.size), dtype) for s in static.discrete
        }
        turns = next(iter(order.values())).shape[0]
        weights, _ = jax.lax.scan(draw, weights, (jax.random.split(key, turns), order))
        drawn = {name: weight.argmax(-1) for name, weight in weights.items()}
        if not static.followers:
            return drawn
        model = handlers.seed(_at(static.function, known | drawn), key)
        trace = handlers.trace(model).get_trace(*args, **kwargs)
        return drawn | {name: trace[name]["value"] for name in static.followers}

    num_draws = next(iter(values.values())).shape[0]
    return jax.lax.map(one, (jax.random.split(key, num_draws), values), batch_size=16)


def _at(function: Callable[..., Any], values: dict[str, Array]) -> Any:
    """Run the model at these values of its sites."""

    def substitute(site: dict[str, Any]) -> Array | None:
        if site["type"] != "sample" or site["name"] not in values:
            return None
        return with_axes(site, at_step(site, values[site["name"]]))

    return handlers.substitute(function, substitute_fn=substitute)


def _order(sites: tuple[DiscreteSite, ...]) -> dict[str, Array]:
    """Return whose turn it is: for each site, turns by steps of its scan (or one).

    What is in fewer plates comes first, since plates are independent given that; of
    the scans each in turn, its steps in the order of `_bisection`.
    """
    outside = sorted((s for s in sites if not s.history), key=lambda s: s.depth)
    scans: dict[tuple[int, int], list[DiscreteSite]] = {}
    for site in sites:
        if site.history:
            scans.setdefault((site.shape[0], site.history), []).append(site)
    turns: list[tuple[DiscreteSite, list[int]]] = [(site, [0]) for site in outside]
    for (length, history), inside in scans.items():
        for steps in _bisection(length, history):
            turns += [(site, steps) for site in inside]
    order = {
        site.name: np.zeros((len(turns), site.shape[0] if site.history else 1), bool)
        for site in sites
    }
    for number, (site, steps) in enumerate(turns):
        order[site.name][number, steps] = True
    return {name: jnp.asarray(turn) for name, turn in order.items()}


def _bisection(length: int, history: int) -> list[list[int]]:
    """Return the steps of a chain in groups that are independent given those before.

    Blocks of `history` steps are a chain of the first order: the middle block first,
    then the middles of both halves, the steps of a block one after another.

    Example:
        >>> _bisection(7, 1)
        [[3], [1, 5], [0, 2, 4, 6]]
    """
    groups = []
    gaps = [(0, -(-length // history))]
    while gaps:
        middles = [(start + stop) // 2 for start, stop in gaps]
        for offset in range(history):
            steps = [history * middle + offset for middle in middles]
            groups.append([step for step in steps if step < length])
        gaps = [
            gap
            for (start, stop), middle in zip(gaps, middles, strict=True)
            for gap in ((start, middle), (middle + 1, stop))
            if gap[0] < gap[1]
        ]
    return groups
