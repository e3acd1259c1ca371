"""Checks of values: whole counts, finite numbers, probabilities, a proper prior.

Each check of data returns a floating array and the mask of its valid elements. An eager
call raises ValueError where the mask is False, so that a mask that comes back is all
True. Inside a trace nothing can be raised: there the caller turns the result into NaN
with `vijax.validate.where_valid`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.validate import check, is_traced, seen

Numbers = (
    Any  # whatever jnp.asarray takes, element by element: each is a case of its own
)
Sample = Any  # the same, pooled: all elements together are one data set
_MOST_SHOWN = 80  # characters of a bad value in a message
Checked = tuple[Float[Array, "..."], Bool[Array, "..."]]


def as_float(value: Numbers) -> Float[Array, "..."]:
    """Return a floating array: float32 stays so, integers get the default precision."""
    # NumPy's float64 in a float32 session: taken as it comes, without a warning.
    dtype = jax.dtypes.canonicalize_dtype(getattr(value, "dtype", float))
    return jnp.asarray(value, jnp.result_type(float, dtype))


def numbers(name: str, value: Numbers) -> Float[Array, "..."]:
    """Return a floating array, or say that the argument is none.

    Example:
        >>> numbers("mass", "95 %")
        Traceback (most recent call last):
        ...
        ValueError: mass = '95 %' is not valid: give numbers, in an array of one shape
    """
    if hasattr(value, "_fields"):  # it would pass as several numbers
        raise ValueError(
            f"{name} is a {type(value).__name__}, which is not a number: give numbers; "
            "functions that take one say so"
        )
    try:
        array = as_float(_plain(value))
        if not jnp.iscomplexobj(array):
            return array
    except (TypeError, ValueError):
        pass
    remedy = "give numbers, in an array of one shape"
    raise ValueError(f"{name} = {in_line(value)} is not valid: {remedy}")


def in_line(value: Any) -> str:
    """Return what a value looks like, in one line; a column like a list."""
    for method in ("to_numpy", "tolist"):  # of pandas and Polars, of NumPy
        if hasattr(value, method) and not is_traced(value):
            value = getattr(value, method)()
    text = " ".join(repr(value).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _plain(value: Numbers) -> Numbers:
    """Return what JAX takes; what is missing in a table's column becomes NaN.

    Raises:
        ValueError: text, also where it spells a number.
    """
    if isinstance(value, np.ma.MaskedArray):
        return np.ma.filled(value.astype(float), np.nan)
    if isinstance(value, jax.Array) or is_traced(value):
        return value
    if hasattr(value, "to_numpy"):  # a column of pandas or Polars
        cells = np.ravel(value.to_numpy())
        if cells.dtype == object:  # one cell of each type says what there is
            some = {type(cell): np.asarray(cell) for cell in cells}.values()
            _check_kinds("".join(cell.dtype.kind for cell in some))
        else:
            _check_kinds(cells.dtype.kind)
        try:
            return value.to_numpy(dtype=float, na_value=np.nan)
        except TypeError:
            return value.to_numpy()
    if isinstance(value, np.ndarray) or np.isscalar(value):
        kinds = str(np.asarray(value).dtype.kind)
    else:
        kinds = "".join(np.asarray(leaf).dtype.kind for leaf in jax.tree.leaves(value))
    _check_kinds(kinds)
    return value


def _check_kinds(kinds: str) -> None:
    if set(kinds) & set("USMm"):
        raise ValueError("text or dates")


def one_of(name: str, value: str, options: tuple[str, ...]) -> str:
    """Refuse a word that is not among the options.

    Example:
        >>> one_of("alternative", "larger", ("greater", "less"))
        Traceback (most recent call last):
        ...
        ValueError: alternative = 'larger' is not valid: give 'greater' or 'less'
    """
    if not isinstance(value, str) or value not in options:
        words = [repr(option) for option in options]
        remedy = " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
        raise ValueError(f"{name} = {in_line(value)} is not valid: give {remedy}")
    return value


def whole(name: str, value: Any, least: int = 0) -> int:
    """Return one whole number that fixes a shape, so that it cannot be traced.

    Example:
        >>> whole("max_count", 7.5)
        Traceback (most recent call last):
        ...
        ValueError: max_count = 7.5 is not valid: give a whole number >= 0
    """
    if is_traced(value):
        remedy = "it fixes shapes, give a whole number that is known"
        raise ValueError(f"{name} is traced: {remedy}")
    x = seen(numbers(name, value))
    remedy = f"give a whole number >= {least}"
    if x.ndim:
        raise ValueError(f"{name} has shape {x.shape}: {remedy}")
    checked((x >= least) & (x == x.round()) & (x < np.inf), name, x, remedy)
    return int(value)


def fraction(
    name: str, value: Numbers, remedy: str = "give a number in (0, 1)"
) -> Checked:
    """Check for numbers between 0 and 1, both excluded, as a level or a mass is.

    Example:
        >>> fraction("level", 95)
        Traceback (most recent call last):
        ...
        ValueError: level = 95.0 is not valid: give a number in (0, 1)
    """
    array = not_empty(name, value)
    x = seen(array)
    return array, checked((x > 0) & (x < 1), name, array, remedy)


def probability(name: str, value: Numbers) -> Checked:
    """Check for numbers between 0 and 1, both included.

    Example:
        >>> probability("null", 0.5)[0].item()
        0.5
    """
    array = not_empty(name, value)
    x = seen(array)
    return array, checked((x >= 0) & (x <= 1), name, array, "give a probability")


def counts(name: str, value: Numbers) -> Checked:
    """Check for whole numbers, 0 or larger. They stay exact up to 2^53 (float32: 2^24).

    Example:
        >>> counts("counts", [3, -1])
        Traceback (most recent call last):
        ...
        ValueError: counts = -1.0 (at index 1) is not valid: give whole numbers >= 0
    """
    array = not_empty(name, value)
    x = seen(array)
    whole = (x >= 0) & (x == x.round()) & (x < np.inf)
    return array, checked(whole, name, array, "give whole numbers >= 0")


def finite(name: str, value: Numbers) -> Checked:
    """Check for finite numbers, as measurements are.

    Example:
        >>> finite("observations", 1.0)[0].item()
        1.0
    """
    array = not_empty(name, value)
    valid = abs(seen(array)) < np.inf
    return array, checked(valid, name, array, "give finite numbers")


def nonnegative(name: str, value: Numbers) -> Checked:
    """Check for finite numbers >= 0, as waiting times are.

    Example:
        >>> nonnegative("times", -1.0)
        Traceback (most recent call last):
        ...
        ValueError: times = -1.0 is not valid: give finite numbers >= 0
    """
    array = not_empty(name, value)
    x = seen(array)
    valid = (x >= 0) & (x < np.inf)
    return array, checked(valid, name, array, "give finite numbers >= 0")


def positive(name: str, value: Numbers) -> Checked:
    """Check for finite numbers > 0, as scales, rates and exposures are.

    Example:
        >>> positive("exposure", 0.0)
        Traceback (most recent call last):
        ...
        ValueError: exposure = 0.0 is not valid: give finite numbers > 0
    """
    array = not_empty(name, value)
    x = seen(array)
    valid = (x > 0) & (x < np.inf)
    return array, checked(valid, name, array, "give finite numbers > 0")


def checked(
    valid: ArrayLike, name: str, value: Numbers, remedy: str
) -> Bool[Array, "..."]:
    """Return `vijax.validate.check` as a JAX array, ready to be combined."""
    return jnp.asarray(check(valid, name, value, remedy))


def not_empty(name: str, value: Numbers) -> Float[Array, "..."]:
    """Refuse an array without elements: with no data the posterior is the prior."""
    array = numbers(name, value)
    if array.size == 0:
        raise ValueError(f"{name} is empty: give at least one value")
    return array


def parameters(**values: Numbers) -> Bool[Array, "..."]:
    """Check a prior's parameters for finite numbers >= 0; 0 may be improper.

    An improper prior may have a proper posterior, so `proper_posterior` decides.
    """
    return _check_all("prior", lambda x: x >= 0, "give a finite number >= 0", values)


def locations(**values: Numbers) -> Bool[Array, "..."]:
    """Check a prior's locations for finite numbers."""
    return _check_all("prior", lambda x: x > -np.inf, "give a finite number", values)


def proper_posterior(**values: Numbers) -> Bool[Array, "..."]:
    """Check a posterior's parameters for finite numbers > 0.

    Example:
        >>> proper_posterior(concentration=0.0)
        Traceback (most recent call last):
        ...
        ValueError: posterior.concentration = 0.0 is not valid: after these data the
        posterior is not proper; give a proper prior, or more data
    """
    remedy = (
        "after these data the posterior is not proper; give a proper prior, or more "
        "data"
    )
    return _check_all("posterior", lambda x: x > 0, remedy, values)


def proper(**values: Numbers) -> Bool[Array, "..."]:
    """Check a prior's parameters for finite numbers > 0, as an evidence needs them.

    Example:
        >>> proper(rate=0.0)
        Traceback (most recent call last):
        ...
        ValueError: prior.rate = 0.0 is not valid: the prior is improper, so its density
        and the evidence have an arbitrary factor; give a finite number > 0
    """
    remedy = (
        "the prior is improper, so its density and the evidence have an arbitrary "
        "factor; give a finite number > 0"
    )
    return _check_all("prior", lambda x: x > 0, remedy, values)


def _check_all(
    owner: str, condition: Callable[[Array], Array], remedy: str, values: dict[str, Any]
) -> Bool[Array, "..."]:
    valid = jnp.asarray(True)
    for name, value in values.items():
        array = numbers(f"{owner}.{name}", value)
        x = seen(array)
        mask = condition(x) & (x < np.inf)
        valid = valid & checked(mask, f"{owner}.{name}", array, remedy)
    return valid


def all_of(*masks: ArrayLike) -> Bool[Array, ""]:
    """Reduce masks to one: the whole data set is valid or it is not."""
    if is_traced(*masks):
        return jnp.all(jnp.stack([jnp.all(mask) for mask in masks]))
    return jnp.asarray(all(np.all(mask) for mask in masks))
