"""Draws of a fit, entry by entry, with what is drawn beside them.

An entry is one number of a site: "slope", or "weights[2]". Draws are those that the
fit's verdict tells to use, and their label says which they are, and where not to trust
them: a figure is read without its text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vijax.types import Key
from vijax.validate import check
from vijax.vi import Fit
from vijax.vi.after.posterior_draws import posterior_draws
from vijax.vi.engine.precision import precision_of

NUM_SAMPLES = 4000
INNER, OUTER = 0.5, 0.95  # mass of the thick and of the thin line of an interval
WORDS = {"q": "q", "importance": "q, corrected", "chains": "NUTS"}
UNTRUSTED = "not to be trusted"


class Drawn(NamedTuple):
    """Draws by site, and what a legend calls them."""

    values: Mapping[str, Any]  # draws first
    label: str


class Entry(NamedTuple):
    """One number of a site."""

    label: str  # of an axis
    draws: np.ndarray  # (draws,)
    reference: np.ndarray | None
    truth: float | None


def drawn_from(fit: Fit, key: Key, num_samples: int, draws: str = "auto") -> Drawn:
    """Draw all sites, deterministic ones too, from where the verdict tells.

    Raises:
        ValueError: a stack of fits; fewer than 100 samples; an unknown name in `draws`.
    """
    check(num_samples >= 100, "num_samples", num_samples, "give at least 100")
    with precision_of(fit.target):
        found = posterior_draws(fit, key, num_samples, draws, deterministic=True)
        values = {name: np.asarray(x, float) for name, x in found.values.items()}
    return Drawn(values, label_of(found.source, trusted=bool(found.trusted)))


def label_of(source: str, *, trusted: bool) -> str:
    """Return what a legend calls draws.

    Example:
        >>> label_of("importance", trusted=False)
        'q, corrected (not to be trusted)'
    """
    word = WORDS.get(source, source)
    return word if trusted else f"{word} ({UNTRUSTED})"


def reference_from(
    reference: Fit | Mapping[str, Any] | None, key: Key, num_samples: int
) -> Drawn | None:
    """Return draws of another fit, or those that are given."""
    if reference is None:
        return None
    if isinstance(reference, Fit):
        return drawn_from(reference, key, num_samples)
    given = {name: np.asarray(x, float) for name, x in reference.items()}
    return Drawn(given, "reference")


def entries(
    drawn: Drawn,
    sites: Sequence[str],
    *,
    labels: Mapping[str, str | Sequence[str]],
    reference: Drawn | None,
    truth: Mapping[str, Any],
) -> list[Entry]:
    """Return the entries of some sites, one after the other.

    Args:
        drawn: of the fit.
        sites: their names.
        labels: of sites, where their names do not say all (units, say); or one for
            each of a site's entries.
        reference: drawn beside it, where it has the site.
        truth: values by site, of its shape.

    Raises:
        ValueError: a site that the fit, or a truth that no site has; a reference or a
            truth of another shape; labels of another number.
    """
    require_sites(drawn, "sites", sites)
    require_sites(drawn, "truth", truth)
    require_sites(drawn, "labels", labels)
    found = []
    for site in sites:
        values = drawn.values[site]
        shape = values.shape[1:]
        other = None if reference is None else reference.values.get(site)
        if other is not None and other.shape[1:] != shape:
            raise ValueError(
                f"reference is not valid: its draws of {site!r} have shape "
                f"{other.shape}; give (draws, {', '.join(map(str, shape))})"
            )
        true = np.asarray(truth[site], float) if site in truth else None
        if true is not None and true.shape != shape:
            raise ValueError(
                f"truth is not valid: {site!r} has shape {true.shape}; give {shape}"
            )
        titles = _titles(labels.get(site, site), site, shape)
        for title, index in zip(titles, np.ndindex(*shape), strict=True):
            where = (slice(None), *index)
            found.append(
                Entry(
                    title,
                    values[where],
                    None if other is None else other[where],
                    None if true is None else float(true[index]),
                )
            )
    return found


def require_sites(drawn: Drawn, argument: str, sites: Any) -> None:
    """Raise a ValueError where the fit has no site of a name."""
    for site in sites:
        if site not in drawn.values:
            raise ValueError(
                f"{argument} is not valid: the fit has no site {site!r}; it has "
                f"{', '.join(drawn.values)}"
            )


def _titles(label: str | Sequence[str], site: str, shape: tuple[int, ...]) -> list[str]:
    """Return a label for each entry, its place before the unit.

    Example:
        >>> _titles("weights / kg", "weights", (2,))
        ['weights[0] / kg', 'weights[1] / kg']
    """
    if not isinstance(label, str):
        number = int(np.prod(shape, dtype=int))
        check(len(label) == number, "labels", label, f"give {number} for {site!r}")
        return list(label)
    name, slash, unit = label.partition(" / ")
    return [
        f"{name}[{', '.join(map(str, index))}]{slash}{unit}" if index else label
        for index in np.ndindex(*shape)
    ]
