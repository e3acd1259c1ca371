"""A measured number with its standard error, and how the two are printed."""

from typing import Any, NamedTuple

import numpy as np

from vijax.types import Scalar
from vijax.validate import is_traced


class Estimate(NamedTuple):
    """A number and its standard error.

    Example:
        >>> print(Estimate(np.float32(0.8712), np.float32(0.0123)))
        0.871 ± 0.012
    """

    value: Scalar
    standard_error: Scalar

    def __str__(self) -> str:
        """Return the value with two digits of its error."""
        return in_digits(self.value, self.standard_error)


def in_digits(value: Any, error: Any) -> str:
    """Return a number with two digits of its standard error, as a paper prints it.

    Args:
        value: a number; of an array or a traced value only the shape is told.
        error: its standard error, in the same units.

    Example:
        >>> in_digits(-101.532, 0.264), in_digits(1234.5, 56.0), in_digits(1.5, 0.0)
        ('-101.53 ± 0.26', '1234 ± 56', '1.5 ± 0')
    """
    if is_traced(value, error) or np.ndim(value) or np.ndim(error):
        return f"estimates of shape {np.shape(value)}"
    value, error = float(value), float(error)
    if not (np.isfinite(error) and error > 0):
        return f"{value:.6g} ± {error:g}"
    exponent = int(f"{error:.1e}".partition("e")[2])  # of the error as it is printed
    decimals = max(1 - exponent, 0)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
