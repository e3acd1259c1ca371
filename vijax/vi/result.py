"""A fit's result: q, its errors, and whether to believe it."""

import html
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.array_module import array_module
from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi import importance_weights
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import log_densities, over_draws
from vijax.vi.engine.compilation import density_jit, light_jit
from vijax.vi.families import base
from vijax.vi.methods.base import Found
from vijax.vi.targets.data_arguments import to_device
from vijax.vi.targets.target import Target, labels

VERDICTS = ("converged", "not_converged", "diverged")
NARROWNESS_LIMIT = 1.05  # an sd 5 % too small is worth a word
# Weights from a normal q to a normal p have a variance where p's is below twice q's.
CORRECTABLE_LIMIT = 2**0.5
MAX_ROWS = 20  # of the printed table


class Fit(NamedTuple):
    """A fitted q with what is needed to judge it; nats throughout."""

    q: Any  # over the unconstrained vector
    elbo: Scalar  # at q, from fresh draws; at most the log evidence
    elbo_se: Scalar
    khat: Scalar  # the weights' tail shape, k̂ or Hill's, the smaller; below 0.7: good
    khat_se: Scalar  # its standard error, for many draws
    status: Int[Array, "..."]  # index into VERDICTS
    num_steps: Int[Array, "..."]
    losses: Float[
        Array, "..."
    ]  # negative ELBO by step (+inf: draws were added; not taken), or,
    # for Laplace, −log p
    log_evidence: Scalar  # by importance sampling with smoothed weights
    log_evidence_se: Scalar
    effective_sample_size: Scalar  # of the importance weights, out of those drawn
    mean_shift: Scalar  # how far the weights move a mean, the farthest, in sds
    sd_shift: Scalar  # and an sd, relative; both of the constrained unknowns
    loc_error: Float[Array, "..."]  # of q's means by its finite draws, in sds of q
    scale_error: Float[Array, "..."]  # of q's log sds
    num_rejected: Int[Array, "..."]  # steps rolled back
    num_gradients: Int[Array, "..."]  # gradients of the log density spent
    covariance: Float[Array, "..."] | None  # by linear response, or None
    means: Float[Array, "..."]  # of q's constrained unknowns, over the same draws
    sds: Float[Array, "..."]
    target: Target

    @property
    def verdict(self) -> Any:
        """How the search ended: one of VERDICTS (an array of them after a vmap)."""
        verdict = np.asarray(VERDICTS)[np.asarray(self.status)]
        return verdict if verdict.ndim else str(verdict)

    @property
    def trusted(self) -> Any:
        """Whether q's own means and sds may be used.

        The search converged, the weights are reliable, they move no mean by 0.05 sd
        and no sd by 5 %, and linear response finds no sd 5 % larger.
        """
        mean_shift, sd_shift, narrowness = _plain(
            self.mean_shift, self.sd_shift, self.narrowness
        )
        good = (mean_shift < importance_weights.MEAN_LIMIT) & self.correctable
        good &= sd_shift < importance_weights.SD_LIMIT
        return good & (narrowness < NARROWNESS_LIMIT)

    @property
    def correctable(self) -> Any:
        """Whether the importance-corrected moments and evidence may be used.

        The search converged, k̂ < 0.7, at least 400 effective samples, and linear
        response finds no sd √2 times q's, where the weights would have no variance.
        """
        status, khat, narrowness, effective_sample_size = _plain(
            self.status, self.khat, self.narrowness, self.effective_sample_size
        )
        good = (status == 0) & (khat < importance_weights.KHAT_LIMIT)
        good &= narrowness < CORRECTABLE_LIMIT
        return good & (
            effective_sample_size >= importance_weights.MIN_EFFECTIVE_SAMPLE_SIZE
        )

    @property
    def narrowness(self) -> Any:
        """The largest ratio of a linear-response sd to q's own; 1 where unknown."""
        if self.covariance is None:
            return jnp.ones_like(self.elbo)
        return _narrowness(self.q, self.covariance, self.target.init)

    @property
    def advice(self) -> str:
        """A sentence: trust it, or what to try next."""
        return advise(self)

    def __str__(self) -> str:
        # JAX prints a Fit in its errors too, with tracers or shapes for its leaves.
        if is_traced(self.status) or not isinstance(self.status, jax.Array):
            return f"Fit of {self.target}"
        if jnp.ndim(self.status):
            return f"{self.status.size} fits of {self.target}"
        head, rows = _header(self), _rows(self)
        width = max(len(name) for name, *_ in rows)
        table = [f"{'':{width}} {'mean':>12} {'sd':>12}"]
        table += [f"{name:{width}} {mean:>12} {sd:>12}" for name, mean, sd in rows]
        return "\n".join([*head, *table, self.advice])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        if is_traced(self.status) or jnp.ndim(self.status):
            return html.escape(str(self))
        cells = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{mean}</td><td>{sd}</td></tr>"
            for name, mean, sd in _rows(self)
        )
        head = "<br>".join(html.escape(line) for line in _header(self))
        return (
            f"<p>{head}</p><table><tr><th></th><th>mean</th><th>sd</th></tr>{cells}"
            f"</table><p><b>{html.escape(self.advice)}</b></p>"
        )


class Checked(NamedTuple):
    """What fresh draws of q say, its log weights less a reference."""

    log_weights: Float[Array, " checks"]  # log p(z) − log q(z) less the reference
    values: Float[Array, "checks entries"]  # the constrained unknowns there
    reference: Scalar
    # Where q weighs its draws itself, some unknowns integrated out of the weights:
    log_joint: Float[Array, " checks"] | None = None  # with none integrated out
    other_log_weights: Float[Array, " checks"] | None = None  # by another quadrature
    entries: Float[Array, "checks entries"] | None = None  # of each unknown's own block
    few: Float[Array, " entries"] | None = None  # 1 where one of few that matter most


def check_draws(target: Target, q: Any, key: Key, *, num_checks: int) -> Checked:
    """Weigh fresh draws of q, whose noise has mean 0 and covariance I exactly."""
    if hasattr(q, "weigh"):  # a q that evaluates the density to draw
        return _weigh(target, q, key, num_checks=num_checks)
    like = target.init
    eps = noise.normal(key, (num_checks, like.shape[0]), like.dtype)
    return _check(target, *_draw(q, eps))


@light_jit
def _draw(q: Any, eps: Any) -> tuple[Array, Array]:
    z = q.transform(noise.whitened(jnp.asarray(eps)))
    return z, q.log_prob(z)


@density_jit
def _check(target: Target, z: Array, log_q: Array) -> Checked:
    log_p, reference = log_densities(target, z)
    return Checked(log_p - log_q, _values(target, z), reference)


def _weigh(target: Target, q: Any, key: Key, *, num_checks: int) -> Checked:
    """Let q weigh its draws, of which it may integrate some unknowns out."""
    drawn = q.weigh(key, num_checks)
    by_itself = jnp.zeros_like(target.init).at[q.structure.globals].set(1.0)
    blocks = drawn.block_log_weights
    return Checked(
        drawn.log_weights,
        _values(target, drawn.positions),
        jnp.zeros_like(drawn.log_weights[0]),
        drawn.log_joint,
        drawn.other_log_weights,
        None if blocks is None else target.by_entry(blocks),
        target.by_entry(by_itself[None])[0],
    )


@density_jit
def _values(target: Target, z: Array) -> Array:
    """Return the constrained unknowns at many positions, (draws, entries)."""
    names = [site.name for site in target.static.sites]

    def values(z: Array) -> Array:
        constrained = target.constrain(z)
        return jnp.concatenate([jnp.ravel(constrained[name]) for name in names])

    return over_draws(target, values, z).astype(z.dtype)


@np.errstate(all="ignore")
def judge(target: Target, found: Found, checked: Checked) -> Fit:
    """Add ELBO, evidence and k̂ from the log weights, and put the Fit together."""
    xp = array_module(found, checked)
    log_weights, values, reference = (xp.asarray(x) for x in checked[:3])
    dtype, number = log_weights.dtype, log_weights.shape[0]
    finite = xp.all(xp.isfinite(log_weights))
    # Weights of zero (−inf) are fine for k̂ and evidence, not for an ELBO.
    usable = xp.where(xp.isnan(log_weights), -xp.inf, log_weights)
    usable = xp.where(xp.any(usable > -xp.inf), usable, 0.0)
    smoothed = importance_weights.psis(usable)
    shares = number * xp.exp(smoothed.log_weights)
    joint = usable if checked.log_joint is None else xp.asarray(checked.log_joint)
    finite = finite & xp.all(xp.isfinite(joint))
    by_entry, agrees = _by_entry(checked, values, smoothed.log_weights)
    mean_shift, sd_shift = importance_weights.shifts(values, by_entry)
    if checked.few is not None:  # chance moves the largest of few by less
        few = np.flatnonzero(np.asarray(checked.few))
        moves = importance_weights.shifts(values[:, few], smoothed.log_weights)
        mean_shift = xp.maximum(mean_shift, moves[0])
        sd_shift = xp.maximum(sd_shift, moves[1])
    numbers = {
        "elbo": xp.where(finite, xp.mean(joint) + reference, xp.nan),
        "elbo_se": xp.where(finite, xp.std(joint, ddof=1) / number**0.5, xp.nan),
        "khat": xp.where(finite & agrees, smoothed.tail_shape, xp.inf),
        "khat_se": xp.where(finite, smoothed.tail_shape_se, xp.nan),
        "log_evidence": xp.where(finite, smoothed.log_evidence + reference, xp.nan),
        "log_evidence_se": xp.std(shares, ddof=1) / number**0.5,
        "effective_sample_size": smoothed.effective_sample_size,
        "mean_shift": mean_shift,
        "sd_shift": sd_shift,
        "means": xp.mean(values, axis=0),
        "sds": xp.std(values, axis=0),
    }
    arrays = {
        name: to_device(xp.asarray(value, dtype)) for name, value in numbers.items()
    }
    rest = found._asdict()
    status = xp.where(finite, xp.where(xp.asarray(rest.pop("good")), 0, 1), 2)
    status = to_device(xp.asarray(status, np.int32))
    return Fit(**rest, **arrays, status=status, target=target)


def _by_entry(checked: Checked, values: Any, log_weights: Any) -> tuple[Any, Any]:
    """Return each entry's log weights, and whether two quadratures agree on them.

    They agree where they put every mean within 0.05 sd of each other.
    """
    xp = array_module(checked)
    if checked.other_log_weights is None or checked.entries is None:
        return log_weights, xp.asarray(True)
    other = xp.asarray(checked.other_log_weights)
    by_entry = importance_weights.normalised(
        log_weights[:, None] + xp.asarray(checked.entries)
    )
    ratio = xp.exp(importance_weights.normalised(other)) - xp.exp(
        importance_weights.normalised(xp.asarray(checked.log_weights))
    )
    spread = xp.std(values, axis=0)
    moves = xp.abs(ratio @ values) / xp.where(spread > 0, spread, 1.0)
    return by_entry, xp.max(moves) < importance_weights.MEAN_LIMIT


def advise(fit: Fit) -> str:
    """Return a sentence: trust the fit, or what to try next."""
    if jnp.ndim(fit.status):
        raise ValueError("fit is a stack of fits: ask one of them for its advice")
    khat = f"k̂ = {float(fit.khat):.2f} ± {float(fit.khat_se):.2f}"
    if fit.verdict == "diverged":
        return (
            "Do not use it: the log density is not finite at draws of q. Check the "
            "model for an improper posterior, or scale the data."
        )
    if fit.verdict == "not_converged":
        return (
            f"Do not trust it: the search had not settled after {int(fit.num_steps)} "
            "steps. Give its method a larger num_steps, or reparametrise (non-centred, "
            "scaled)."
        )
    narrowness = float(fit.narrowness)
    narrow = (
        f"Linear response, to first order, finds an sd {narrowness:.2f} times q's "
        "(response_sd of vi.summary, good where the posterior is nearly normal). "
        if narrowness >= NARROWNESS_LIMIT
        else ""
    )
    if float(fit.khat) >= importance_weights.KHAT_LIMIT:
        return (
            f"Do not trust its means and sds: {khat} is above 0.7, so q "
            f"misses part of the posterior; {remedy(fit)}. {narrow}".strip()
        )
    if narrowness >= CORRECTABLE_LIMIT:
        return f"Do not trust its sds: {narrow}Or {remedy(fit)}."
    if not fit.correctable:
        return (
            f"Do not trust its means and sds: {float(fit.effective_sample_size):.0f} "
            f"effective samples are too few to check them; {remedy(fit)}, or give a "
            f"larger num_checks. {narrow}".strip()
        )
    if fit.trusted:
        return (
            f"Trust it: converged, {khat} is below 0.7, and importance weights move "
            "no mean by 0.05 sd and no sd by 5 %. (A mode that q's draws miss is not "
            "seen.)"
        )
    return (
        f"Use the corrected moments of vi.summary ({khat} is below 0.7), or "
        f"{remedy(fit)}: importance weights move means of q by up to "
        f"{float(fit.mean_shift):.2f} sd and sds by up to "
        f"{100 * float(fit.sd_shift):.0f} %. {narrow}".strip()
    )


def remedy(fit: Fit) -> str:
    """Return what to try where the fit is not good."""
    richer = getattr(fit.q, "richer", "flow")
    if richer == "full_rank" and fit.target.dim > 1:
        return 'try family="full_rank"'
    other = "reparametrise (non-centred, another scale), or use MCMC"
    return other if richer is None else f'try family="flow", {other}'


def _header(fit: Fit) -> list[str]:
    """Return what the fit is, its verdict and its bounds."""
    return [
        f"{type(fit.q).__name__} fitted to {fit.target}: {fit.verdict} after "
        f"{int(fit.num_steps)} steps, {int(fit.num_gradients)} gradients",
        f"ELBO {float(fit.elbo):.3f} ± {float(fit.elbo_se):.3f} nats, "
        f"k̂ = {float(fit.khat):.2f} ± {float(fit.khat_se):.2f}",
    ]


def _rows(fit: Fit) -> list[tuple[str, str, str]]:
    """Return name, mean and sd of the first unknowns, as text."""
    names = labels(fit.target)[:MAX_ROWS]
    means, sds = np.asarray(fit.means), np.asarray(fit.sds)
    rows = [
        (name, f"{mean:.5g}", f"{sd:.4g}")
        for name, mean, sd in zip(names, means, sds, strict=False)
    ]
    more = len(means) - len(rows)
    return [*rows, (f"… {more} more", "", "")] if more else rows


def _plain(*values: Any) -> Any:
    """Return NumPy arrays, whose comparisons compile nothing, outside of a trace."""
    return values if is_traced(values) else tuple(np.asarray(x) for x in values)


@light_jit
def _narrowness(q: Any, covariance: Array, like: Array) -> Array:
    def ratio(q: Any, covariance: Array, like: Array) -> Array:
        variance = jnp.diag(covariance)
        return jnp.sqrt(jnp.max(variance / base.scale(q, like) ** 2))

    for _ in range(covariance.ndim - 2):  # a stack of fits
        ratio = jax.vmap(ratio)
    return ratio(q, covariance, like)
