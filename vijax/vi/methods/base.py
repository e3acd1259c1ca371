"""What a method is: it turns a target, a family and a start into a q."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Key
from vijax.vi.families.base import Family
from vijax.vi.targets.target import Target


class Found(NamedTuple):
    """A q, and how it was found."""

    q: Any
    good: Bool[Array, "..."]  # whether the stop rule was met
    num_steps: Int[Array, "..."]
    losses: Float[Array, "..."]  # by step, +inf for those not taken
    loc_error: Float[Array, "..."]  # standard error of the means, in sds of q
    scale_error: Float[Array, "..."]  # standard error of the log sds
    num_rejected: Int[Array, "..."]
    num_gradients: Int[Array, "..."]  # of the log density
    covariance: Float[Array, "..."] | None = None  # by linear response


@runtime_checkable
class Method(Protocol):
    """A way to find q; a frozen object that holds its options."""

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""

    def find(
        self,
        target: Target,
        key: Key,
        family: Family,
        loc: Float[ArrayLike, " dim"],
        scale: Float[ArrayLike, " dim"],
        *,
        tolerance: float,
    ) -> Found:
        """Find q from N(loc, diag(scale²))."""


def needs_all_rows(target: Target, name: str) -> None:
    """Raise a ValueError where the model sees a subsample of its rows at a time."""
    if target.subsampled:
        raise ValueError(
            f"{name} needs all rows at once, but the model subsamples them: leave "
            'method and start to "auto", or give the plate no subsample_size'
        )
