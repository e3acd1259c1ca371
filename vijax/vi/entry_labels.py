"""Names of the single numbers of unknowns, and which of many a table shows."""

import math
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from vijax.vi.engine.precision import precision_of
from vijax.vi.targets.target import Target

Shape = tuple[int, ...]


def entry_labels(target: Target) -> list[str]:
    """Return a name for each constrained entry, as in `means`: "weights[0]", "sigma".

    A simplex has one entry more than coordinates, a correlation matrix many more.
    """
    return [
        label
        for name, shape in entry_shapes(target).items()
        for label, _ in labels(name, shape)
    ]


def entry_shapes(target: Target) -> dict[str, Shape]:
    """Return the shape of each unknown, by name, in the order of the entries."""
    with precision_of(target):
        shapes = jax.eval_shape(target.constrain, target.init)
    return {site.name: shapes[site.name].shape for site in target.static.sites}


def labels(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    """Yield the name and the index of each entry of one unknown.

    Example:
        >>> list(labels("w", (1, 2))), list(labels("sigma", ()))
        ([('w[0, 0]', (0, 0)), ('w[0, 1]', (0, 1))], [('sigma', ())])
    """
    for index in np.ndindex(*shape):
        yield f"{name}[{', '.join(map(str, index))}]" if index else name, index


def table_rows(
    shapes: Mapping[str, Shape], most: int
) -> Iterator[tuple[str, str, Shape | None]]:
    """Yield label, unknown and index of at most so many rows of a table.

    Long unknowns are cut so that no short one is lost behind them; the index of a row
    that says how many are not shown is None.

    Example:
        >>> for row in table_rows({"h": (2500,), "sd": ()}, most=3):
        ...     print(row)
        ('h[0]', 'h', (0,))
        ('h[1]', 'h', (1,))
        ('… 2498 more of h', 'h', None)
        ('sd', 'sd', ())
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    left, shown = most, {}
    for place, name in enumerate(sorted(sizes, key=lambda name: sizes[name])):
        shown[name] = min(sizes[name], left // (len(sizes) - place))
        left -= shown[name]
    unseen = 0
    for name, shape in shapes.items():
        for number, (label, index) in enumerate(labels(name, shape)):
            if number == shown[name]:
                break
            yield label, name, index
        cut = sizes[name] - shown[name]
        if cut and shown[name]:
            yield f"… {cut} more of {name}", name, None
        unseen += 0 if shown[name] else cut
    if unseen:
        yield f"… {unseen} more", "", None
