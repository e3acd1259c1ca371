"""The ELBO by site: what part of a model a fit pays for, and where it breaks."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi.after.posterior_draws import light
from vijax.vi.after.refusals import require_no_discrete
from vijax.vi.engine.batched_density import MAX_BATCH, in_batches
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import own_precision
from vijax.vi.families import base
from vijax.vi.result import Fit
from vijax.vi.targets.models import replay
from vijax.vi.targets.models.numpyro_model import log_density_terms

ENTROPY = "entropy of q"
MAX_ROWS = 40


class ElboTerm(NamedTuple):
    """The expectation under q of one site's log density, in nats."""

    value: float
    standard_error: float
    num_infinite: int  # draws at which it is not finite


class ElboTerms(dict[str, ElboTerm]):
    """Terms by site, and the entropy of q; they sum to `elbo`. Prints as a table."""

    elbo: float = np.nan
    elbo_se: float = np.nan  # smaller than the terms' errors, which cancel
    advice: str = ""

    def __str__(self) -> str:
        width = max([14, *map(len, self)])
        rows = list(self.items())
        lines = [
            f"{name:<{width}} {term.value:>14.3f} ± {term.standard_error:.2g}"
            for name, term in rows[-MAX_ROWS:]
        ]
        total = f"{'ELBO':<{width}} {self.elbo:>14.3f} ± {self.elbo_se:.2g} nats"
        return "\n".join([*lines, total, *([self.advice] if self.advice else [])])

    __repr__ = __str__


@own_precision
def elbo_by_site(fit: Fit, key: Key, num_samples: int = 2000) -> ElboTerms:
    r"""Return the ELBO's terms: one for each site of the model, and q's entropy.

        ELBO = Σ_sites E_q[log p(site | those before it)] − E_q[log q(u)]

    u is unconstrained, so that an unknown's term has the log |dθ/du| of its map. A site
    far lower than the others is where a model and its data disagree, a site that is not
    finite is where it breaks.

    Args:
        fit: of a target of `vi.from_numpyro`.
        key: random key.
        num_samples: draws of q.

    Returns:
        Terms by site in the model's order, `numpyro.factor` included, then "entropy of
        q"; each with its standard error, `elbo` with its own.

    Raises:
        ValueError: for a target of `from_log_density`; discrete unknowns that are
            summed out; fewer than 2 samples; a stack of fits; inside a trace.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> fit = vi.fit(vi.from_numpyro(model, 1.0), jax.random.key(0))
        >>> found = elbo_by_site(fit, jax.random.key(1))
        >>> list(found), round(found["entropy of q"].value, 1)  # ½ log(2πe / 2)
        (['mean', 'y', 'entropy of q'], 1.1)
    """
    check(num_samples >= 2, "num_samples", num_samples, "give at least 2")
    replay.require_model(fit.target, "vi.elbo_by_site")
    require_no_discrete(fit, "vi.elbo_by_site")
    if is_traced(fit.status, key) or np.ndim(fit.status):
        raise ValueError("vi.elbo_by_site is for one fit, outside of jit and vmap")
    columns = _columns(light(fit), key, num_samples=num_samples)
    columns = replay.in_order(replay.rerun(fit.target), columns)
    drawn = {name: np.asarray(x, float) for name, x in columns.items()}
    drawn[ENTROPY] = drawn.pop(ENTROPY)  # last
    table = ElboTerms()
    for name, x in drawn.items():
        value, error = _mean(x)
        table[name] = ElboTerm(value, error, int(np.sum(~np.isfinite(x))))
    table.elbo, table.elbo_se = _mean(np.sum(list(drawn.values()), axis=0))
    broken = [name for name, term in table.items() if term.num_infinite]
    if broken:
        number = table[broken[0]].num_infinite
        table.advice = (
            f"Not finite at {number} of {num_samples} draws of q: {', '.join(broken)}; "
            "check supports and data there."
        )
    return table


def _mean(x: np.ndarray) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        return float(np.mean(x)), float(np.std(x, ddof=1) / len(x) ** 0.5)


@partial(density_jit, static_argnames="num_samples")
def _columns(fit: Fit, key: Key, *, num_samples: int) -> dict[str, Array]:
    """Return each term at each draw of q."""
    target = fit.target
    draw_key, row_key = jax.random.split(key)
    z = base.sample(fit.q, draw_key, num_samples, target.init)

    def one(at: tuple[Array, Key]) -> dict[str, Array]:
        return log_density_terms(target, *at)

    batch_size = max(1, MAX_BATCH // target.data_size)
    terms = in_batches(one, (z, jax.random.split(row_key, num_samples)), batch_size)
    return {**terms, ENTROPY: -fit.q.log_prob(z)}
