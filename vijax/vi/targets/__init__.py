"""Targets: what is fitted, an unconstrained log density with its data and names.

    from_numpyro(model, *args, **kwargs)       any NumPyro model; discrete sites summed
    from_log_density(log_density, init, ...)   log p(θ) of any pytree of reals
    from_stream(model, Stream(columns))        a NumPyro model of more rows than memory

A Target is a pytree whose leaves are the data: a function compiled for one target is
compiled for all targets of the same model with data of the same shapes.
`target.log_density(position)` is log p in nats on ℝ^dim, `target.constrain(position)`
the unknowns by name. Inside: `arguments` (what is data), `models` (of NumPyro: sites,
densities, discrete unknowns), `streams`, and `structure` (what depends on what).
"""

from vijax.vi.targets.models.numpyro_model import from_numpyro
from vijax.vi.targets.streams.stream import Stream
from vijax.vi.targets.streams.streamed_model import from_stream
from vijax.vi.targets.target import Target, from_log_density

__all__ = ["Stream", "Target", "from_log_density", "from_numpyro", "from_stream"]


def __dir__() -> list[str]:
    return __all__
