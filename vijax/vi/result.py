"""A fit's result: q, its errors, and whether to believe it."""

import html
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.types import Scalar
from vijax.validate import is_traced
from vijax.vi import importance_weights
from vijax.vi.engine.compilation import light_jit
from vijax.vi.engine.precision import precision_of
from vijax.vi.entry_labels import entry_labels, entry_shapes, table_rows
from vijax.vi.families import base
from vijax.vi.methods.mode_search import MAX_DIM, MAX_MODES, Modes
from vijax.vi.targets.target import Target

VERDICTS = ("converged", "not_converged", "diverged")
NARROWNESS_LIMIT = 1.05  # an sd 5 % too small is worth a word
# Weights from a normal q to a normal p have a variance where p's is below twice q's.
CORRECTABLE_LIMIT = 2**0.5
MAX_R_HAT = 1.01
MIN_CHAIN_ESS = 1500  # that leaves 0.1 sd of the worst of many means four errors away
MAX_MODE_ERROR = 0.1  # relative, of the draws that chains have at a mode
WELL_KNOWN = 0.05  # sds, that a number's standard error may be
MAX_ROWS = 20  # of the printed table


class Chains(NamedTuple):
    """Draws by MCMC, and whether they are enough."""

    positions: Any  # unconstrained, (chains, samples, dim)
    visits: Any  # the least share of a known mode's mass that its draws make up
    r_hat: Any  # of each constrained entry: split, the larger of x and (x − mean)²
    mean_ess: Any  # effective sample sizes, that the means are known with
    sd_ess: Any  # and the sds
    mean_se: Any  # standard errors of the means, in the entries' own units
    sd_se: Any  # and of the sds, by the delta method
    num_divergences: Any
    tails: Any = np.zeros(())  # tail shapes of (x − mean)², by entry

    @property
    def known_sds(self) -> Any:
        """Which sds are known to 5 %: by their errors, and by their tails.

        From a shape of 0.7 on draws do not know an sd, however many their effective
        number says that they are. (Means are, by 1,500 effective draws.)
        """
        moves = np.isfinite(self.mean_ess)  # an entry that is always the same is known
        sds = self.mean_se * np.where(moves, self.mean_ess, 1.0) ** 0.5
        number = int(np.prod(np.shape(self.positions)[:2]))
        errors = self.sd_se * importance_weights.slower(number, self.tails)
        short = self.tails < importance_weights.KHAT_LIMIT
        return short & (errors <= WELL_KNOWN * sds)

    @property
    def good(self) -> bool:
        """Whether the chains agree and are long, and the sampler found no obstacle."""
        return bool(
            self.num_divergences == 0
            and abs(self.visits - 1) < MAX_MODE_ERROR
            and np.max(self.r_hat) < MAX_R_HAT
            and np.min(self.mean_ess) >= MIN_CHAIN_ESS
            and np.min(self.sd_ess) >= MIN_CHAIN_ESS
        )

    def __str__(self) -> str:
        num_chains, num_samples, _ = self.positions.shape
        least = min(np.min(self.mean_ess), np.min(self.sd_ess))
        return (
            f"NUTS, {num_chains} chains of {num_samples} draws: R-hat at most "
            f"{np.max(self.r_hat):.3f}, at least {least:.0f} effective samples, "
            f"{int(self.num_divergences)} divergences"
        )


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
    # Of each constrained entry, the tail shape of w (x − mean)²: 0.7 and more says that
    # the weights do not know its sd.
    tails: Float[Array, "..."]
    loc_error: Float[Array, "..."]  # of q's means by its finite draws, in sds of q
    scale_error: Float[Array, "..."]  # of q's log sds
    num_rejected: Int[Array, "..."]  # steps rolled back
    num_gradients: Int[Array, "..."]  # gradients of the log density spent
    covariance: Float[Array, "..."] | None  # by linear response, or None
    means: Float[Array, "..."]  # of q's constrained unknowns, over the same draws
    sds: Float[Array, "..."]
    target: Target
    modes: Modes | None = None  # beside q's own, or None: not found, or not looked for
    chains: Chains | None = None  # by `vi.nuts`; what is said is then theirs

    @property
    def verdict(self) -> Any:
        """How the search ended: one of VERDICTS (an array of them after a vmap)."""
        verdict = np.asarray(VERDICTS)[np.asarray(self.status)]
        return verdict if verdict.ndim else str(verdict)

    @property
    def trusted(self) -> Any:
        """Whether q's own means and sds may be used.

        The search converged, the weights are reliable for the sd of every unknown, they
        move no mean by 0.05 sd and no sd by 5 %, linear response finds no sd 5 %
        larger, and there is no other mode that matters. With `chains`: whether these
        are good, and know all sds.
        """
        if self.chains is not None:
            return self.chains.good and bool(np.all(self.chains.known_sds))
        mean_shift, sd_shift, narrowness, tails = _plain(
            self.mean_shift, self.sd_shift, self.narrowness, self.tails
        )
        good = (mean_shift < importance_weights.MEAN_LIMIT) & self.correctable
        good &= sd_shift < importance_weights.SD_LIMIT
        good &= (tails < importance_weights.KHAT_LIMIT).all(axis=-1)
        return _truth(good & (narrowness < NARROWNESS_LIMIT))

    @property
    def has_good_draws(self) -> Any:
        """Whether draws of q may be used as the posterior's; with `chains`, theirs.

        So may those of chains that know all but the sd of a long tail.
        """
        return self.trusted if self.chains is None else self.chains.good

    @property
    def correctable(self) -> Any:
        """Whether the importance-corrected moments and evidence may be used.

        The search converged, k̂ < 0.7, at least 400 effective samples, linear response
        finds no sd √2 times q's, where the weights would have no variance, and there
        are not as many modes as the search keeps: there may be more.
        With `chains`: whether these are good.
        """
        if self.chains is not None:
            return self.chains.good
        status, khat, narrowness, effective_sample_size = _plain(
            self.status, self.khat, self.narrowness, self.effective_sample_size
        )
        good = (status == 0) & (khat < importance_weights.KHAT_LIMIT)
        good &= (narrowness < CORRECTABLE_LIMIT) & (not may_have_more_modes(self))
        enough = importance_weights.MIN_EFFECTIVE_SAMPLE_SIZE
        return _truth(good & (effective_sample_size >= enough))

    @property
    def narrowness(self) -> Any:
        """The largest ratio of a linear-response sd to q's own; 1 where unknown."""
        if self.covariance is None:
            return jnp.ones_like(self.elbo)
        with precision_of(self.target):
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


def advise(fit: Fit) -> str:
    """Return a sentence: trust the fit, or what to try next."""
    if jnp.ndim(fit.status):
        raise ValueError("fit is a stack of fits: ask one of them for its advice")
    if fit.chains is not None:
        return _advise_of_chains(fit, fit.chains)
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
    if fit.modes is not None and not fit.trusted:
        return _advise_beside_modes(fit, fit.modes)
    return _advise_by_weights(fit)


def _advise_beside_modes(fit: Fit, modes: Modes) -> str:
    """Return advice on a fit whose q misses other modes, or mass far around it."""
    shares = " and ".join(f"{100 * float(mass):.2g} %" for mass in modes.mass)
    where = "another mode" if len(modes.mass) == 1 else "other modes"
    uncovered = f"{shares} of the mass is in {where}, which q misses"
    if not np.all(modes.hill):
        uncovered = f"{shares} of the mass is far around q, where its draws do not go"
    if hasattr(fit.q, "weigh"):  # whose draws do not go there
        uncovered += " (Laplace's formula, which is rough, says how much)"
    if fit.correctable:
        return f"Use the corrected moments of vi.summary, which count it: {uncovered}."
    use = remedy(fit)
    more = ", and there may be more" if may_have_more_modes(fit) else ""
    return (
        f"Do not trust its means and sds: {uncovered}{more}. "
        f"{use[0].upper() + use[1:]}. {_narrow(fit)}".strip()
    )


def _narrow(fit: Fit) -> str:
    """Return a sentence on an sd that linear response finds larger, or nothing."""
    narrowness = float(fit.narrowness)
    if not narrowness >= NARROWNESS_LIMIT:
        return ""
    return (
        f"Linear response, to first order, finds an sd {narrowness:.2f} times q's "
        "(response_sd of vi.summary, good where the posterior is nearly normal). "
    )


def _advise_by_weights(fit: Fit) -> str:
    """Return advice on a fit that has converged, by the weights of its draws."""
    khat = f"k̂ = {float(fit.khat):.2f} ± {float(fit.khat_se):.2f}"
    narrow = _narrow(fit)
    if float(fit.khat) >= importance_weights.KHAT_LIMIT:
        return (
            f"Do not trust its means and sds: {khat} is above 0.7, so q "
            f"misses part of the posterior; {remedy(fit)}. {narrow}".strip()
        )
    if float(fit.narrowness) >= CORRECTABLE_LIMIT:
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
            f"no mean by 0.05 sd and no sd by 5 %. ({_search(fit)})"
        )
    unknown = np.asarray(fit.tails) >= importance_weights.KHAT_LIMIT
    if unknown.any():
        return (
            f"Use the corrected moments of vi.summary ({khat} is below 0.7), but the "
            f"sd of {shown_entries(fit, unknown)} is not known: its tail is too long "
            f"for draws of q. Or {remedy(fit)}. {narrow}".strip()
        )
    moves = []
    if float(fit.mean_shift) >= importance_weights.MEAN_LIMIT:
        moves.append(f"a mean of q by {float(fit.mean_shift):.2f} sd")
    if float(fit.sd_shift) >= importance_weights.SD_LIMIT:
        moves.append(f"an sd by {100 * float(fit.sd_shift):.0f} %")
    why = f"Importance weights move {' and '.join(moves)}. " if moves else ""
    return (
        f"Use the corrected moments of vi.summary ({khat} is below 0.7), or "
        f"{remedy(fit)}. {why}{narrow}".strip()
    )


def may_have_more_modes(fit: Fit) -> bool:
    """Say whether a fit has as many other modes as the search keeps."""
    return fit.modes is not None and len(fit.modes.mass) >= MAX_MODES


def _search(fit: Fit) -> str:
    """Say what is known of other modes where none was found."""
    if fit.target.subsampled or fit.target.dim > MAX_DIM:
        return "Other modes were not looked for."
    return "A mode that neither q's draws nor the search met is not seen."


def shown_entries(fit: Fit, chosen: np.ndarray) -> str:
    """Return the names of some entries, the first three of them."""
    entries = entry_labels(fit.target)
    names = [entries[number] for number in np.flatnonzero(chosen)]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _advise_of_chains(fit: Fit, chains: Chains) -> str:
    if fit.trusted:
        return f"Trust it: {chains}."
    if chains.good:
        shown = shown_entries(fit, ~chains.known_sds)
        return (
            f"Trust it ({chains}), but the sd of {shown} is not known: few draws of "
            "long tails make most of it."
        )
    if abs(chains.visits - 1) >= MAX_MODE_ERROR:
        why = (
            f"a mode that was found has {chains.visits:.2g} times the draws that its "
            "mass asks for; use the fit without chains"
        )
    elif np.max(chains.r_hat) >= MAX_R_HAT:
        why = "the chains disagree, as where there are several modes"
    elif (
        np.min(chains.mean_ess) < MIN_CHAIN_ESS or np.min(chains.sd_ess) < MIN_CHAIN_ESS
    ):
        why = f"{MIN_CHAIN_ESS} effective samples are wanted; give larger max_samples"
    else:
        why = "divergences say that a part is not reached; give target_accept = 0.99"
    return f"Do not trust it: {chains}; {why}, or reparametrise (non-centred, scaled)."


def remedy(fit: Fit) -> str:
    """Return what to try where the fit is not good."""
    richer = getattr(fit.q, "richer", "flow")
    if richer == "full_rank" and fit.target.dim > 1:
        return 'try family="full_rank"'
    other = "reparametrise (non-centred, another scale), or use vi.nuts"
    return other if richer is None else f'try family="flow", {other}'


def _truth(value: Any) -> Any:
    """Return a plain bool of one fit; of a stack of fits, or traced, the array."""
    return bool(value) if isinstance(value, np.bool_) or value is True else value


def _header(fit: Fit) -> list[str]:
    """Return what the fit is, its verdict and its bounds."""
    if fit.chains is not None:
        return [f"{fit.target}, from {type(fit.q).__name__}", str(fit.chains)]
    wide = fit.target.init.dtype == np.float64 and not jax.config.read("jax_enable_x64")
    wide &= not fit.target.streamed  # which all are
    digits = ", in float64, for float32 loses digits" if wide else ""
    return [
        f"{type(fit.q).__name__} fitted to {fit.target}: {fit.verdict} after "
        f"{int(fit.num_steps)} steps, {int(fit.num_gradients)} gradients{digits}",
        f"ELBO {float(fit.elbo):.3f} ± {float(fit.elbo_se):.3f} nats, "
        f"k̂ = {float(fit.khat):.2f} ± {float(fit.khat_se):.2f}",
    ]


def _rows(fit: Fit) -> list[tuple[str, str, str]]:
    """Return name, mean and sd of the unknowns, as text, of long ones the first."""
    shapes = entry_shapes(fit.target)
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    means, sds = (
        dict(zip(shapes, np.split(np.asarray(x), ends), strict=True))
        for x in (fit.means, fit.sds)
    )
    rows = []
    for label, name, index in table_rows(shapes, MAX_ROWS):
        numbers = ("", "")
        if index is not None:
            mean, sd = (x[name].reshape(shapes[name])[index] for x in (means, sds))
            numbers = (f"{mean:.5g}", f"{sd:.4g}")
        rows.append((label, *numbers))
    return rows


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
