"""A fit's result: q, its errors, and whether to believe it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.types import Key, Scalar
from vijax.vi import bounds, diagnostics
from vijax.vi.families import MeanField
from vijax.vi.target import Target, over_draws

VERDICTS = ("converged", "not_converged", "diverged")


class Fit(NamedTuple):
    """A fitted q with what is needed to judge it; nats throughout."""

    q: Any  # over the unconstrained vector
    elbo: Scalar  # at q, from fresh draws; at most the log evidence
    elbo_se: Scalar
    khat: Scalar  # Pareto shape of the importance weights; below 0.7 is good
    status: Int[Array, "..."]  # index into VERDICTS
    num_steps: Int[Array, "..."]
    losses: Float[Array, "..."]  # negative ELBO by step (+inf: draws were added)
    log_evidence: Scalar  # by importance sampling with smoothed weights
    log_evidence_se: Scalar
    effective_samples: Scalar  # of the importance weights, out of those drawn
    loc_error: Float[Array, "..."]  # of q's means by its finite draws, in sds of q
    scale_error: Float[Array, "..."]  # of q's log sds
    num_rejected: Int[Array, "..."]  # steps rolled back
    num_gradients: Int[Array, "..."]  # gradients of the log density spent
    target: Target

    @property
    def verdict(self) -> Any:
        """How the search ended: one of VERDICTS (an array of them after a vmap)."""
        verdict = np.asarray(VERDICTS)[np.asarray(self.status)]
        return verdict if verdict.ndim else str(verdict)

    @property
    def trusted(self) -> Any:
        """Whether the search converged and q covers the posterior (k̂ < 0.7)."""
        return (self.status == 0) & (self.khat < diagnostics.KHAT_LIMIT)

    @property
    def advice(self) -> str:
        """A sentence: trust it, or what to try next."""
        return advise(self)


def judge(
    target: Target, q: Any, key: Key, num_checks: int, good: Array, **counts: Any
) -> Fit:
    """Draw from q afresh: ELBO, evidence, k̂; and put the Fit together."""
    z = q.sample(key, num_checks)
    log_weights = over_draws(target, target.log_density, z) - q.log_prob(z)
    smoothed = diagnostics.psis(log_weights)
    elbo = bounds.elbo(log_weights)
    finite = jnp.isfinite(elbo)
    status = jnp.where(finite, jnp.where(good, 0, 1), 2)
    return Fit(
        q=q,
        elbo=elbo,
        elbo_se=bounds.standard_error(log_weights),
        khat=jnp.where(finite, smoothed.khat, jnp.inf),
        status=status,
        log_evidence=smoothed.log_evidence,
        log_evidence_se=bounds.iwae_standard_error(smoothed.log_weights),
        effective_samples=smoothed.effective_samples,
        target=target,
        **counts,
    )


def advise(fit: Fit) -> str:
    """Return a sentence: trust the fit, or what to try next."""
    if jnp.ndim(fit.status):
        raise ValueError("fit is a stack of fits: ask one of them for its advice")
    khat = float(fit.khat)
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
    if khat < diagnostics.KHAT_LIMIT:
        return f"Trust it: converged, and k̂ = {khat:.2f} is below 0.7."
    remedy = (
        'try family="full_rank"'
        if isinstance(fit.q, MeanField)
        else "reparametrise (non-centred), or use MCMC"
    )
    return (
        f"Do not trust its means and sds: k̂ = {khat:.2f} is above 0.7, so q misses "
        f"part of the posterior; {remedy}."
    )
