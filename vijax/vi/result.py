"""A fit's result: q, its errors, and whether to believe it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Scalar
from vijax.validate import is_traced
from vijax.vi import importance_weights
from vijax.vi.engine.fast_compile import quick_jit
from vijax.vi.families.flow import Flow
from vijax.vi.families.gaussian import MeanField
from vijax.vi.methods.pathfinder import Spiked
from vijax.vi.targets.data_arguments import to_device
from vijax.vi.targets.target import Target

VERDICTS = ("converged", "not_converged", "diverged")
NARROWNESS_LIMIT = 1.05  # an sd 5 % too small is worth a word
# Weights from a normal q to a normal p have a variance where p's is below twice q's.
CORRECTABLE_LIMIT = 2**0.5


class Fit(NamedTuple):
    """A fitted q with what is needed to judge it; nats throughout."""

    q: Any  # over the unconstrained vector
    elbo: Scalar  # at q, from fresh draws; at most the log evidence
    elbo_se: Scalar
    khat: Scalar  # the weights' tail shape, k̂ or Hill's, the smaller; below 0.7: good
    khat_se: Scalar  # its standard error, for many draws
    status: Int[Array, "..."]  # index into VERDICTS
    num_steps: Int[Array, "..."]
    losses: Float[Array, "..."]  # negative ELBO by step (+inf: draws were added), or,
    # for Laplace, −log p
    log_evidence: Scalar  # by importance sampling with smoothed weights
    log_evidence_se: Scalar
    effective_samples: Scalar  # of the importance weights, out of those drawn
    mean_shift: Scalar  # how far the weights move a mean, the farthest, in sds
    sd_shift: Scalar  # and an sd, relative; both of the constrained unknowns
    loc_error: Float[Array, "..."]  # of q's means by its finite draws, in sds of q
    scale_error: Float[Array, "..."]  # of q's log sds
    num_rejected: Int[Array, "..."]  # steps rolled back
    num_gradients: Int[Array, "..."]  # gradients of the log density spent
    covariance: Float[Array, "..."] | None  # by linear response, or None
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
        status, khat, narrowness, effective_samples = _plain(
            self.status, self.khat, self.narrowness, self.effective_samples
        )
        good = (status == 0) & (khat < importance_weights.KHAT_LIMIT)
        good &= narrowness < CORRECTABLE_LIMIT
        return good & (effective_samples >= importance_weights.MIN_EFFECTIVE_SAMPLES)

    @property
    def narrowness(self) -> Any:
        """The largest ratio of a linear-response sd to q's own; 1 where unknown."""
        if self.covariance is None:
            return jnp.ones_like(self.elbo)
        return _narrowness(self.q, self.covariance, quick=True)

    @property
    def advice(self) -> str:
        """A sentence: trust it, or what to try next."""
        return advise(self)


class Search(NamedTuple):
    """What an optimiser hands over: a q, and how it was found."""

    q: Any
    good: Bool[Array, ""]  # whether the stop rule was met
    num_steps: Int[Array, ""]
    losses: Float[Array, " steps"]
    loc_error: Float[Array, " dim"]
    scale_error: Float[Array, " dim"]
    num_rejected: Int[Array, ""]
    num_gradients: Int[Array, ""]
    covariance: Float[Array, "dim dim"] | None
    # log p(z) − log q(z) at fresh draws of q, less the reference
    log_weights: Float[Array, " checks"]
    values: Float[Array, "checks entries"]  # the constrained unknowns there
    reference: Scalar


def judge(target: Target, search: Search) -> Fit:
    """Add ELBO, evidence and k̂ from the log weights, and put the Fit together."""
    if not is_traced(search):  # nothing to compile
        with np.errstate(all="ignore"):
            return _judge(target, search, np)
    return _judge(target, search, jnp)


def _judge(target: Target, search: Search, xp: Any) -> Fit:
    found = search._asdict()
    good, log_weights = found.pop("good"), xp.asarray(found.pop("log_weights"))
    values = xp.asarray(found.pop("values"))
    reference = xp.asarray(found.pop("reference"))
    dtype, number = log_weights.dtype, log_weights.shape[0]
    finite = xp.all(xp.isfinite(log_weights))
    # Weights of zero (−inf) are fine for k̂ and evidence, not for an ELBO.
    usable = xp.where(xp.isnan(log_weights), -xp.inf, log_weights)
    usable = xp.where(xp.any(usable > -xp.inf), usable, 0.0)
    smoothed = importance_weights.psis(usable)
    shares = number * xp.exp(smoothed.log_weights)
    mean_shift, sd_shift = importance_weights.shifts(values, smoothed.log_weights)
    numbers = {
        "elbo": xp.where(finite, xp.mean(usable) + reference, xp.nan),
        "elbo_se": xp.where(finite, xp.std(usable, ddof=1) / number**0.5, xp.nan),
        "khat": xp.where(finite, smoothed.tail_shape, xp.inf),
        "khat_se": xp.where(finite, smoothed.tail_shape_se, xp.nan),
        "log_evidence": xp.where(finite, smoothed.log_evidence + reference, xp.nan),
        "log_evidence_se": xp.std(shares, ddof=1) / number**0.5,
        "effective_samples": smoothed.effective_samples,
        "mean_shift": mean_shift,
        "sd_shift": sd_shift,
    }
    found |= {
        name: to_device(xp.asarray(value, dtype)) for name, value in numbers.items()
    }
    status = xp.asarray(xp.where(finite, xp.where(good, 0, 1), 2), np.int32)
    return Fit(**found, status=to_device(status), target=target)


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
            "steps. Give a larger num_steps, or reparametrise (non-centred, scaled)."
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
            f"Do not trust its means and sds: {float(fit.effective_samples):.0f} "
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
    if isinstance(fit.q, MeanField | Spiked) and fit.target.dim > 1:
        return 'try family="full_rank"'
    other = "reparametrise (non-centred, another scale), or use MCMC"
    return other if isinstance(fit.q, Flow) else f'try family="flow", {other}'


def _plain(*values: Any) -> Any:
    """Return NumPy arrays, whose comparisons compile nothing, outside of a trace."""
    return values if is_traced(values) else tuple(np.asarray(x) for x in values)


@quick_jit
def _narrowness(q: Any, covariance: Array) -> Array:
    scale = type(q).scale
    for _ in range(jnp.ndim(q.loc) - 1):  # a stack of fits
        scale = jax.vmap(scale)
    variance = jnp.diagonal(covariance, axis1=-2, axis2=-1)
    return jnp.sqrt(jnp.max(variance / scale(q) ** 2, axis=-1))
