"""Bayesian and variational inference in JAX, from the coin flip to the VAE.

    vijax.bayes    exact inference: conjugate families, intervals, evidence, grids
    vijax.vi       variational inference: ELBO, ADVI, a verdict on every fit
    vijax.vae      autoencoders and VAEs: bounds, training, the three use cases
    vijax.physics  template fits (HistFactory): limits, posteriors, pulls, impacts
    vijax.data     data sets as NumPy arrays
    vijax.metrics  ROC curves, bootstrap errors, distances between samples
    vijax.special  inverse incomplete beta and gamma functions, with derivatives
    vijax.sweep    any pure function over millions of settings
    vijax.plot     arrays -> matplotlib figures

`import vijax` loads none of them, nor JAX. Each loads when it is first named:
`vijax.vi.fit` is enough, and `from vijax import vi` gives the same module.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that editors and type checkers see what is loaded on demand
    from vijax import (
        bayes,
        checkpoint,
        data,
        metrics,
        optimize,
        physics,
        plot,
        special,
        sweep,
        types,
        vae,
        vi,
    )

__version__ = "0.2.0"  # the one place: pyproject.toml takes it from here

__all__ = [
    "__version__",
    "bayes",
    "checkpoint",
    "data",
    "metrics",
    "optimize",
    "physics",
    "plot",
    "special",
    "sweep",
    "types",
    "vae",
    "vi",
]


def __getattr__(name: str) -> ModuleType:
    """Import a part of the package when it is first named."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what a user of the package wants."""
    return sorted(__all__)
