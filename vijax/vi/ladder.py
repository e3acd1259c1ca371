"""From the cheapest family upwards until the verdict says that the answer may be used.

    mean field → full rank → structured (where a model has parts) → mixture (where there
    are modes), or flow → NUTS from the best of them

Each rung begins where the last one ended. A rung is left out where it cannot help: a
flow where the target has many unknowns, a mixture where all have converged and none has
found another mode.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import numpy as np
from tqdm import tqdm

from vijax.types import Key
from vijax.vi.chains import known_modes, nuts
from vijax.vi.importance_weights import VARIANCE_LIMIT
from vijax.vi.methods.mode_search import MAX_DIM
from vijax.vi.result import Fit
from vijax.vi.targets.structure.dependencies import find_structure
from vijax.vi.targets.target import Target

FLOW_DIM = 20  # unknowns, above which NUTS takes less time than a flow
FEW = 5  # unknowns, up to which a mixture is always tried: it takes a second
ON_THE_WAY = ("mean_field", "full_rank", "structured", "mixture", "flow")
FitOnce = Callable[..., Fit]


def climb(
    target: Target, key: Key, fit_once: FitOnce, *, seconds: float, progress: bool
) -> Fit:
    """Return the first fit that is trusted, or the best there is, which says so.

    Args:
        target: the log density.
        key: random key.
        fit_once: (target, key, family, near) -> Fit; `near` is a fit to begin at.
        seconds: after which no further rung begins, and no further block of chains.
        progress: whether to show the rungs on a line, where there is a terminal.
    """
    began = time.perf_counter()
    tried: list[Fit] = []
    refused: list[ValueError] = []
    with _line(progress) as say:
        for number, family in enumerate(ON_THE_WAY):
            near = tried[-1] if tried else None
            left = seconds - (time.perf_counter() - began)
            if left < 0 or not _can_help(family, target, tried):
                continue
            say(family)
            rung = jax.random.fold_in(key, number)
            try:
                found = fit_once(target, rung, family, near)
            except ValueError as error:  # not finite, or no structure
                refused.append(error)
                continue
            target = found.target  # in float64 from now on, maybe
            tried.append(found)
            if found.trusted:
                return found
        if not tried:
            raise refused[0]
        best = max(tried, key=_rank)
        left = seconds - (time.perf_counter() - began)
        if target.subsampled or left < 0 or target.dim > 10 * MAX_DIM:
            return best
        say("nuts")
        try:
            run_key = jax.random.fold_in(key, len(ON_THE_WAY))
            last = nuts(_with_modes(best, tried), run_key, seconds=left)
        except (ValueError, RuntimeError):
            return best
    good = last.trusted or not best.correctable
    return last if good else best


def _with_modes(best: Fit, tried: list[Fit]) -> Fit:
    """Return the best fit, with the modes that any has found: NUTS must visit them."""
    richest = max(tried, key=_num_hills)
    modes = known_modes(best)
    if (modes is not None and np.any(modes.hill)) or not _num_hills(richest):
        return best
    return best._replace(modes=richest.modes)


def _num_hills(fit: Fit) -> int:
    """Return how many other modes a fit has met; a wide tail around q is none."""
    return 0 if fit.modes is None else int(np.sum(fit.modes.hill))


def _can_help(family: str, target: Target, tried: list[Fit]) -> bool:
    """Say whether a rung is worth its time after those that were tried."""
    small = target.dim <= MAX_DIM and not target.subsampled
    modes = any(_num_hills(fit) > 0 for fit in tried)
    lost = any(fit.verdict != "converged" for fit in tried)
    few = target.dim <= FLOW_DIM
    if family == "structured":  # which looks for no modes: there must be none
        return not modes and _has_parts(target)
    # Where no normal comes near, NUTS takes less time than a flow.
    near = any(bool(fit.correctable) for fit in tried)
    return {
        "mean_field": True,
        "full_rank": small and target.dim > 1,
        "mixture": small and (modes or lost or target.dim <= FEW),
        "flow": few and near,
    }[family]


def _has_parts(target: Target) -> bool:
    """Say whether some unknowns are independent, or a chain, given the others."""
    try:
        return bool(find_structure(target).groups)
    except ValueError:
        return False


def _rank(fit: Fit) -> tuple[bool, bool, int, float]:
    """Order fits: corrected, converged, by the sds that are known, by the bound."""
    elbo = float(fit.elbo)
    known = int(np.sum(np.asarray(fit.tails) < VARIANCE_LIMIT))
    return (
        bool(fit.correctable),
        fit.verdict == "converged",
        known,
        elbo if np.isfinite(elbo) else -np.inf,
    )


@contextmanager
def _line(progress: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that says on one line which rung is being climbed."""
    disable = None if progress else True  # None: where there is no terminal
    with tqdm(total=len(ON_THE_WAY) + 1, desc="auto", disable=disable) as bar:

        def say(rung: str) -> None:
            bar.set_postfix_str(rung, refresh=True)
            bar.update()

        yield say
