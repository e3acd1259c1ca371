"""Expected yields before and after a fit, with the errors of their totals."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax import printing
from vijax.physics.histfactory import (
    Template,
    auxiliary,
    expected,
    expected_by_sample,
)
from vijax.physics.likelihood_fit import TemplateFit, in_double
from vijax.physics.target import parts_of
from vijax.vi.targets.target import Target


class ChannelYields(NamedTuple):
    """Expected counts of one channel."""

    samples: dict[str, Any]  # name -> counts, (bins,)
    total: Any  # (bins,)
    error: Any  # of the total, by the parameters' covariance, (bins,)
    observed: Any  # counts, (bins,)

    def __str__(self) -> str:
        columns = {**self.samples, **self._asdict()}
        del columns["samples"]
        return printing.described("Expected counts by bin", columns)

    def __repr__(self) -> str:
        return str(self)


@in_double
def template_yields(
    target: Target, fit: TemplateFit | None = None
) -> dict[str, ChannelYields]:
    r"""Return expected yields with errors, after a fit or before any.

    The error of a total λ is √(∇λᵀ C ∇λ). After a fit C is its covariance; before, it
    is diagonal, of the errors of the auxiliary measurements, and parameters without any
    have none.

    Args:
        target: from `from_pyhf`.
        fit: of `maximum_likelihood`; None: parameters at their starting values.

    Returns:
        channel -> its ChannelYields.

    Raises:
        ValueError: the target is not a template fit.
    """
    layout, data = parts_of(target)
    template = data.template
    if fit is None:
        theta = data.init
        _, sds = auxiliary(template, data.observed, layout.size)
        fixed = [flag for p in layout.parameters for flag in p.fixed]
        sds = np.where(np.isnan(sds) | fixed, 0.0, sds)
        covariance = jnp.diag(jnp.asarray(sds**2))
    else:
        theta, covariance = jnp.asarray(fit.theta), jnp.asarray(fit.covariance)
    cells, total, error = _with_errors(template, theta, covariance)
    found, start = {}, 0
    for c, channel in enumerate(layout.channels):
        where = slice(start, start + layout.bins[c])
        samples = {
            name: cells[slot, where] for slot, name in enumerate(layout.samples[c])
        }
        counts = jnp.asarray(data.observed.main)[where]
        found[channel] = ChannelYields(samples, total[where], error[where], counts)
        start += layout.bins[c]
    return found


@jax.jit
def _with_errors(
    template: Template, theta: Array, covariance: Array
) -> tuple[Array, Array, Array]:
    """Return the counts of all samples, the totals, and the totals' errors."""
    slopes = jax.jacobian(lambda one: expected(template, one))(theta)
    error = jnp.sqrt(jnp.einsum("bi,ij,bj->b", slopes, covariance, slopes))
    return expected_by_sample(template, theta), expected(template, theta), error
