"""What a fit says about the unknowns: constrained draws, moments and their errors."""

import html
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.array_module import array_module
from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi.checks.adaptation import UNEVEN
from vijax.vi.checks.draws_around import response_draws
from vijax.vi.checks.importance import Weighed, weigh
from vijax.vi.checks.weighted_moments import weighted_moments
from vijax.vi.engine.batched_density import constrained_sites, over_draws
from vijax.vi.engine.blas_threads import on_one_thread
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import own_precision
from vijax.vi.entry_labels import table_rows
from vijax.vi.families import base
from vijax.vi.importance_weights import (
    KHAT_LIMIT,
    MIN_EFFECTIVE_SAMPLE_SIZE,
    VARIANCE_LIMIT,
    slower,
)
from vijax.vi.result import WELL_KNOWN, Chains, Fit, may_have_more_modes, remedy
from vijax.vi.targets.target import Target

COLUMNS = ("mean", "mean_se", "sd", "sd_se", "corrected_mean", "corrected_sd")
RESPONSE = "response_sd"
CHAIN_COLUMNS = ("mean", "mean_se", "sd", "sd_se", "r_hat", "effective_sample_size")
LEAST_SAMPLES, MOST_SAMPLES = 500, 10_000
ENOUGH_TO_CONTRADICT = 4000  # draws; the fit's own verdict has 2000
MISSED = 2.0  # sds away, where mass may be that draws have yet to find
# Sds that draws move a moment by where they contradict it: what is off by 0.1 must be
# seen, but where nothing better than q's own is known, and it may be right.
MOVED, MOVED_FAR = 0.05, 0.1
LEAST_KNOWN = 0.5  # of the numbers; all of them where the weights have no variance
MAX_NUMBERS = 2**24  # that the draws of a summary may be, but for the least
MAX_ROWS = 200  # of the printed table


class Summary(dict[str, dict[str, Any]]):
    """Moments by name; prints as a table, one row an entry, and the verdict below.

    `correctable` says whether the corrected moments and `log_evidence` (in nats) may be
    used: the search converged, or the draws know Stein's identities although it did
    not; and the weights that correct, of all draws together, have k̂ < 0.5 (0.4 where it
    did not), a finite variance, and at least 400 effective samples. Between 0.5 and
    0.7 smoothed weights are often right, but their stated errors are not (of a
    hierarchical regression with 29 unknowns, k̂ = 0.55, a mean was off by 0.13 sd): then
    every moment must be known to 5 % of an sd, and none may be used where the proposal
    was fitted to such weights. At least half of the numbers must be known, or of those
    of the globals, where q integrates the others out. `trusted` says whether q's own
    moments may be used: the fit trusts them, and these draws do not contradict.
    """

    verdict: str = ""
    advice: str = ""  # the verdict's last sentences: trust it, or what to try next
    trusted: bool = False  # whether q's own moments may be used, or the chains'
    correctable: bool = False
    known: float = np.nan  # the share of the corrected moments that the weights know
    khat: float = np.nan
    khat_se: float = np.nan
    effective_sample_size: float = np.nan
    log_evidence: float = np.nan
    log_evidence_se: float = np.nan

    def __str__(self) -> str:
        shown, rows = self._table()
        width = max([8, *(len(label) for label, *_ in rows)])
        head = " ".join([" " * width, *(f"{c:>14}" for c in shown)])
        lines = [
            " ".join([f"{label:<{width}}", *(f"{_text(x):>14}" for x in numbers)])
            for label, *numbers in rows
        ]
        return "\n".join([head, *lines, self.verdict])

    def _repr_html_(self) -> str:
        shown, rows = self._table()
        head = "".join(f"<th>{name}</th>" for name in ("", *shown))
        lines = "".join(
            f"<tr><td>{html.escape(label)}</td>"
            + "".join(f"<td>{_text(x)}</td>" for x in numbers)
            + "</tr>"
            for label, *numbers in rows
        )
        verdict = html.escape(self.verdict)
        return f"<table><tr>{head}</tr>{lines}</table><p>{verdict}</p>"

    def _table(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Return the columns that are shown, and a row of them for each unknown."""
        known = all(RESPONSE in columns for columns in self.values())
        shown = (*COLUMNS, RESPONSE) if known else COLUMNS
        if all("r_hat" in columns for columns in self.values()):
            shown = CHAIN_COLUMNS
        shapes = {name: np.shape(columns["mean"]) for name, columns in self.items()}
        rows: list[tuple[Any, ...]] = []
        for label, name, index in table_rows(shapes, MAX_ROWS):
            of_row = () if index is None else shown
            rows.append(
                (label, *(float(np.asarray(self[name][c])[index]) for c in of_row))
            )
        return shown, rows

    __repr__ = __str__


@own_precision
def sample(fit: Fit, key: Key, num_samples: int) -> dict[str, Array]:
    """Draw from q and return the constrained unknowns by name, draws first.

    Of a fit with chains (`vi.nuts`) the draws are theirs.

    Raises:
        ValueError: for a stack of fits, and for no draws.

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> fit = vi.fit(target, jax.random.key(0))
        >>> sample(fit, jax.random.key(1), 5)["x"].shape
        (5,)
    """
    check(num_samples >= 1, "num_samples", num_samples, "give at least 1")
    if jnp.ndim(fit.status):
        raise ValueError(
            "fit is a stack of fits: give one of them, jax.tree.map(lambda x: x[i], "
            "fits), or map vi.sample over them by jax.vmap"
        )
    if fit.chains is not None:
        positions = jnp.reshape(fit.chains.positions, (-1, fit.target.dim))
        whole = num_samples > len(positions)
        chosen = jax.random.choice(
            key, len(positions), (num_samples,), replace=bool(whole)
        )
        return constrained_sites(fit.target, positions[chosen])
    return _sample(fit.q, fit.target, key, num_samples)


@own_precision
@on_one_thread
def summary(
    fit: Fit, *, key: Key | None = None, num_samples: int | None = None
) -> Summary:
    r"""Return mean and sd of every unknown, with standard errors, by name.

    Of a fit with chains (`vi.nuts`) they are the chains', with `r_hat` and
    `effective_sample_size` beside, and NaN where the chains do not know them. Else each
    name holds arrays of the unknown's shape:

        mean, sd                      of q, in the model's own (constrained) units
        mean_se, sd_se                what the draws, here and in the fit, leave open
        corrected_mean, corrected_sd  of the posterior, by importance weights of draws
                                      of q, of the normal that linear response finds,
                                      and at other modes, where these are known
        corrected_mean_se, corrected_sd_se   good where the table's `correctable`. NaN,
                                      shown as "not known", where the weights have too
                                      long a tail for this one number
        response_sd                   of the posterior, by linear response; by the
                                      method "fixed_draws" only

    The draws' noise has mean 0 and covariance I exactly, so that unknowns which live
    on the whole line have q's moments without error. Where `num_samples` of each
    leave a corrected moment less accurate than 0.5 % of an sd, up to 8 times as many
    more are taken, with longer tails (see `adaptation`).

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> table = summary(vi.fit(target, jax.random.key(0)))
        >>> abs(table["x"]["sd"].item() - 1.0) < 1e-3
        True
    """
    if num_samples is None:
        num_samples = _enough_samples(fit)
    check(num_samples >= 25, "num_samples", num_samples, "give at least 25")
    key = jax.random.key(0) if key is None else key
    if np.ndim(fit.status):
        raise ValueError("fit is a stack of fits: give one of them, or vmap summary")
    if fit.chains is not None:
        return _of_chains(fit, fit.chains)
    with np.errstate(all="ignore"):
        first, weighed = weigh(fit, key, num_samples)
        if is_traced(first.log_weights):
            return Summary(_columns(fit, first, weighed))
        table = Summary(_columns(fit, first, weighed))
        _judge(table, fit, weighed)
    return table


def _worst_error(table: Summary) -> float:
    """Return the largest standard error of a corrected moment that is known, in sds."""
    errors = [0.0]
    for columns in table.values():
        for name in ("corrected_mean_se", "corrected_sd_se"):
            error = np.ravel(columns[name] / _unit(columns))
            errors += [float(x) for x in error[np.isfinite(error)]]
    return max(errors)


def _unit(columns: dict[str, Any]) -> np.ndarray:
    """Return the sds that errors are told in: q's where the posterior's is not known.

    Of an entry that never varies it is 1.
    """
    sd = np.where(columns["corrected_sd"] > 0, columns["corrected_sd"], columns["sd"])
    return np.where(sd > 0, sd, 1.0)


def _contradicts(table: Summary) -> bool:
    """Say whether these draws, more than the fit's, move q's own moments.

    By more than 0.05 sd, or 5 % of an sd, beyond twice the standard error, where the
    corrected moments may be used instead; else by more than 0.1.
    """
    limit = MOVED if table.correctable else MOVED_FAR
    for columns in table.values():
        for name in ("mean", "sd"):
            off = np.abs(columns[name] - columns[f"corrected_{name}"])
            excess = off - 2 * columns[f"corrected_{name}_se"]
            if np.any(excess > limit * _unit(columns)):
                return True
    return False


def _are_known(table: Summary) -> np.ndarray:
    """Return whether the weights know mean and sd of each entry, (2, entries).

    In the table's order, which is the model's.
    """
    moments = [
        [np.ravel(columns[f"corrected_{name}"]) for columns in table.values()]
        for name in ("mean", "sd")
    ]
    return np.isfinite([np.concatenate(of_all) for of_all in moments])


def _knows_enough(fit: Fit, are_known: np.ndarray) -> bool:
    """Say whether half of the numbers are known, or of those of a q's globals.

    The weights of the globals do not hang on the others, which are integrated out.
    """
    if np.mean(are_known) >= LEAST_KNOWN:
        return True
    if not hasattr(fit.q, "global_entries"):
        return False
    of_globals = are_known[:, np.asarray(fit.q.global_entries()) > 0]
    return bool(np.mean(of_globals) >= LEAST_KNOWN)


def _not_known(table: Summary, are_known: np.ndarray) -> str:
    """Say how many of the numbers are not known, and of what."""
    names = [
        name
        for name, columns in table.items()
        if not all(np.isfinite(columns[f"corrected_{c}"]).all() for c in ("mean", "sd"))
    ]
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{np.sum(~are_known)} of {are_known.size} numbers ({shown})"


def _of_chains(fit: Fit, chains: Chains) -> Summary:
    """Return the table of draws by MCMC, which need no correction."""
    shapes = jax.eval_shape(fit.target.constrain, fit.target.init)
    start, table = 0, Summary()
    columns = {
        "mean": np.asarray(fit.means, float),
        "mean_se": np.asarray(chains.mean_se),
        "sd": np.asarray(fit.sds, float),
        "sd_se": np.asarray(chains.sd_se),
        "r_hat": np.asarray(chains.r_hat),
        "effective_sample_size": np.minimum(chains.mean_ess, chains.sd_ess),
    }
    for column in ("sd", "sd_se"):
        columns[column] = np.where(chains.known_sds, columns[column], np.nan)
    columns |= {f"corrected_{c}": columns[c] for c in list(columns)[:4]}
    for site in fit.target.static.sites:
        shape = shapes[site.name].shape
        end = start + int(np.prod(shape, dtype=int))
        table[site.name] = {
            name: np.reshape(x[start:end], shape) for name, x in columns.items()
        }
        start = end
    table.trusted = fit.trusted
    table.known = float(np.mean(_are_known(table)))
    table.correctable = chains.good and table.known >= LEAST_KNOWN
    table.advice = fit.advice
    table.effective_sample_size = float(np.min(columns["effective_sample_size"]))
    table.verdict = fit.advice
    return table


def _enough_samples(fit: Fit) -> int:
    """Return how many draws a summary takes: fewer of large models."""
    if hasattr(fit.q, "weigh"):
        return int(fit.q.num_draws)
    if fit.target.subsampled or fit.target.streamed:  # each is a pass over all rows
        return LEAST_SAMPLES
    return max(LEAST_SAMPLES, min(MOST_SAMPLES, MAX_NUMBERS // fit.target.dim))


def _judge(table: Summary, fit: Fit, weighed: Weighed) -> None:
    """Say what the table is worth: of the fit, and of the weights found here."""
    smoothed = weighed.smoothed
    table.khat = float(smoothed.tail_shape)
    table.khat_se = float(smoothed.tail_shape_se)
    table.effective_sample_size = float(smoothed.effective_sample_size)
    are_known = _are_known(table)
    table.known = share = float(np.mean(are_known))
    table.correctable = (
        (fit.verdict == "converged" or weighed.drift is not None)
        and not may_have_more_modes(fit)
        and not (fit.modes is not None and hasattr(fit.q, "weigh"))
        and _knows_enough(fit, are_known)
        and table.khat < (VARIANCE_LIMIT if weighed.drift is None else UNEVEN)
        and table.effective_sample_size >= MIN_EFFECTIVE_SAMPLE_SIZE
    )
    table.log_evidence = float(smoothed.log_evidence) + weighed.reference
    shares = np.mean(np.reshape(weighed.shares, (-1, len(weighed.eps))), axis=0)
    chance = float(np.std(shares, ddof=1) / len(shares) ** 0.5)
    table.log_evidence_se = math.hypot(chance, weighed.drift or 0.0)
    quality = (
        f"k̂ = {table.khat:.2f} ± {table.khat_se:.2f}, "
        f"{table.effective_sample_size:.0f} effective samples"
    )
    if weighed.drift == math.inf:
        quality += "; by the gradients of its density, draws miss part of the posterior"
    evidence = "log evidence not known but for this lower bound"
    advice = fit.advice
    if table.correctable:
        evidence = (
            f"log evidence {table.log_evidence:.3f} ± {table.log_evidence_se:.3f} nats "
            "by importance weights"
        )
        if not fit.trusted:
            known = f"known to {100 * _worst_error(table):.1g} % of an sd ({quality})"
            if share < 1:
                known += f"; {_not_known(table, are_known)} are not known"
            advice = f"Use the corrected moments, {known}. Of q alone: {advice}"
            if fit.correctable and fit.modes is None:
                advice = (
                    f"Use the corrected moments, {known}; for q itself, {remedy(fit)}."
                )
            elif fit.correctable:
                advice = f"{fit.advice} The corrected moments are {known}."
    elif (fit.correctable or weighed.drift is not None) and not fit.trusted:
        advice = (
            f"Do not trust its corrected moments either ({quality}); {remedy(fit)}."
        )
    table.trusted = bool(fit.trusted)
    if fit.trusted and len(weighed.log_weights) >= ENOUGH_TO_CONTRADICT:
        table.trusted = share == 1 and not _contradicts(table)
        if not table.trusted:
            advice = _retracted(table, share, quality)
    table.advice = advice
    table.verdict = (
        f"{fit.verdict} after {int(fit.num_steps)} steps; "
        f"ELBO {float(fit.elbo):.3f} ± {float(fit.elbo_se):.3f} nats, {evidence}. "
        f"{advice}"
    )


def _retracted(table: Summary, share: float, quality: str) -> str:
    """Say why q's own moments, which the fit trusts, are not to be used after all."""
    why = (
        f"the weights of {100 * (1 - share):.0f} % of them have too long a tail"
        if share < 1
        else "the draws of this summary move them, which are more than the fit's"
    )
    why = f"Do not trust q's own moments: {why} ({quality})."
    if not table.correctable:
        return why
    known = f"known to {100 * _worst_error(table):.1g} % of an sd"
    return f"Use the corrected moments, {known}. {why}"


@partial(density_jit, static_argnums=3)
def _sample(q: Any, target: Target, key: Key, num_samples: int) -> dict[str, Array]:
    z = base.sample(q, key, num_samples, target.init)
    return over_draws(target, target.constrain, z)


def _columns(fit: Fit, first: Weighed, weighed: Weighed) -> dict[str, dict[str, Any]]:
    xp = array_module(first.log_weights)
    # The fit's own error, the largest over coordinates: constraints may mix them.
    loc_error, scale_error = (
        xp.max(xp.asarray(error)) for error in (fit.loc_error, fit.scale_error)
    )
    response: dict[str, Any] = {}
    if fit.covariance is not None:
        # Beside other modes what was drawn from this normal is a t, which is wider.
        response = (
            {name: x[1] for name, x in first.draws.items()}
            if fit.modes is None
            else response_draws(fit, first.eps)
        )
    table: dict[str, dict[str, Any]] = {}
    for site in fit.target.static.sites:
        name, x = site.name, first.draws[site.name]
        mean, sd, mean_se, sd_se = weighted_moments(
            x[:1], first.eps, xp.ones(x.shape[1])
        )
        table[name] = {
            "mean": mean,
            "sd": sd,
            "mean_se": xp.hypot(mean_se, loc_error * sd),
            "sd_se": xp.hypot(sd_se, scale_error * sd),
        }
        mean, sd, mean_se, sd_se = weighed.moments[name]
        missed = MISSED * (weighed.drift or 0.0) * sd
        of_mean, of_sd = weighed.tails(name)
        for column, value, error, tail in (
            ("mean", mean, mean_se, of_mean),
            ("sd", sd, sd_se, of_sd),
        ):
            error = error * slower(len(weighed.log_weights), tail)
            error = xp.hypot(error, missed)
            small = error <= WELL_KNOWN * sd
            known = (tail < KHAT_LIMIT) & small
            table[name][f"corrected_{column}"] = xp.where(known, value, xp.nan)
            table[name][f"corrected_{column}_se"] = xp.where(known, error, xp.nan)
        if name in response:
            table[name][RESPONSE] = xp.std(xp.asarray(response[name]), axis=0)
    return table


def _text(number: float) -> str:
    return "not known" if np.isnan(number) else f"{number:.5g}"
