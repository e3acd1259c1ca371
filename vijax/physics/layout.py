"""Names and order of the parameters, channels and samples of a HistFactory model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One parameter set of a HistFactory model: a scalar, or one for each bin."""

    name: str
    start: int  # of its entries in θ
    size: int
    is_scalar: bool
    fixed: tuple[bool, ...]  # by entry
    constraint: str  # "normal", "poisson" or "none"


@dataclass(frozen=True)
class Layout:
    """Names and order of what is in θ and in the data; compared by value."""

    parameters: tuple[Parameter, ...]  # in the order of θ
    poi: str | None
    channels: tuple[str, ...]
    bins: tuple[int, ...]  # of each channel
    samples: tuple[tuple[str, ...], ...]  # of each channel, by slot
    auxiliary: tuple[str, ...]  # parameter sets, in the order of the auxiliary data

    @property
    def size(self) -> int:
        """Entries of θ."""
        return sum(parameter.size for parameter in self.parameters)

    def parameter(self, name: str) -> Parameter:
        """Return the parameter set of a name."""
        found = {parameter.name: parameter for parameter in self.parameters}
        if name not in found:
            raise ValueError(f"parameter {name!r} is not one of {sorted(found)}")
        return found[name]

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each entry of θ: "mu", "staterror[0]"."""
        return tuple(
            p.name if p.is_scalar else f"{p.name}[{entry}]"
            for p in self.parameters
            for entry in range(p.size)
        )
