"""A NumPyro model of some rows that stand for many: what is observed of them is scaled.

    InParts(model, plate="rows", scale=10.0, column="y")(x=x, y=y, weights_of_rows=ones)

Each row of the plate counts `scale` times its weight. A model that cannot be read in
parts, for it has an unknown for each row, say, is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from numpyro.primitives import Messenger

from vijax.vi.targets.target import TargetError

WEIGHTS = "weights_of_rows"  # 1, and 0 of those that fill up a last block


@dataclass(frozen=True)
class InParts:
    """The model of a block, whose rows stand for those of the whole stream."""

    model: Callable[..., Any]
    plate: str
    scale: float  # of a row's log density
    column: str  # whose length is the number of a block's rows

    @property
    def __name__(self) -> str:
        """The model's name."""
        return getattr(self.model, "__name__", "model")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model, its rows scaled."""
        weights = kwargs.pop(WEIGHTS)
        with _Scale(self, weights):
            return self.model(*args, **kwargs)


class _Scale(Messenger):
    """Scales what is observed in the plate of rows; refuses what cannot be in parts."""

    def __init__(self, parts: InParts, weights: Any) -> None:
        self.parts, self.weights, self.found = parts, weights, False
        super().__init__(None)

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "control_flow":
            raise TargetError(
                "model is not valid for a stream: it has a scan or cond, whose sites "
                "are not scaled; write it as a plate"
            )
        if msg["type"] != "sample":
            return
        if not msg["is_observed"] and msg["fn"].support.is_discrete:
            raise TargetError(
                f"model is not valid for a stream: its unknown site {msg['name']!r} is "
                "discrete; sum it out (dist.MixtureSameFamily)"
            )
        for frame in msg["cond_indep_stack"]:
            if frame.name != self.parts.plate:
                continue
            if not msg["is_observed"]:
                raise TargetError(
                    "model is not valid for a stream: its unknown site "
                    f"{msg['name']!r} is in the plate {frame.name!r} of rows, one for "
                    "each; give unknowns that all rows share"
                )
            if frame.size != len(self.weights):
                raise TargetError(
                    f"model is not valid for a stream: its plate {frame.name!r} has "
                    f"{frame.size} rows where a block has {len(self.weights)}; make "
                    "it as long as the columns, without subsample_size"
                )
            self.found = True
            scale = self.parts.scale * self.weights
            scale = jnp.reshape(scale, (-1, *(-frame.dim - 1) * (1,)))
            msg["scale"] = scale if msg["scale"] is None else scale * msg["scale"]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if error[0] is None and not self.found:
            raise TargetError(
                "model is not valid for a stream: no site is observed in a plate named "
                f"{self.parts.plate!r}; write the rows in numpyro.plate("
                f'"{self.parts.plate}", len({self.parts.column})), or give its name'
            )
