"""Which data leave a log density finite nowhere: NaN, or outside of a support."""

import jax
import numpy as np
from jaxtyping import Array

from vijax.vi.targets.models.numpyro_model import is_model, log_density_terms
from vijax.vi.targets.models.site_densities import Observed, observations
from vijax.vi.targets.target import Target


def explain(target: Target) -> str:
    """Return what is not finite at the target's start, site by site; "" if not known.

    Args:
        target: any; where its model has discrete unknowns, or the rows are a stream,
            single sites have no density of their own, and nothing is known.

    Example:
        >>> import numpyro
        >>> import numpyro.distributions as dist
        >>> from vijax.vi.targets.models.numpyro_model import from_numpyro
        >>> def model(y):
        ...     p = numpyro.sample("p", dist.Beta(1.0, 1.0))
        ...     numpyro.sample("y", dist.Bernoulli(p), obs=y)
        >>> explain(from_numpyro(model, np.array([0, 1, 2])))
        "the data of site 'y' are impossible there, such as 2 at index 2"
    """
    static = target.static
    if target.streamed or not is_model(target) or static.discrete:
        return ""
    said = []
    try:
        found, terms = jax.device_get(_at_start(target))
    except ValueError:  # single observations of this model have no likelihood
        return ""
    for name, site in found.items():
        bad = ~np.isfinite(site.log_prob) & site.mask
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            place = f" at index {', '.join(map(str, index))}" if index else ""
            said.append(
                f"the data of site {name!r} are impossible there, such as "
                f"{site.value[index]}{place}"
            )
    for name, term in terms.items():
        if name not in found and not np.isfinite(term):
            said.append(f"site {name!r} has log density {term} there")
    return "; ".join(said)


@jax.jit
def _at_start(target: Target) -> tuple[dict[str, Observed], dict[str, Array]]:
    values = target.constrain(target.init)
    return observations(target, values), log_density_terms(target, target.init)
