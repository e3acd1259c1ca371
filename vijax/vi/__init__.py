"""Variational inference: turn an integral into an optimisation, and check it.

    target = vi.from_numpyro(model, x, y)       what is fitted           vi.targets
    fit = vi.fit(target, key, family="flow")    by which q, and how      vi.families,
                                                                         vi.methods
    chained = vi.nuts(fit, key)                 or MCMC, from q  vi.chains
    print(fit)                                  whether to believe it    vi.checks
    print(vi.summary(fit))                      means, sds and their errors
    draws = vi.sample(fit, key, 1000)           constrained unknowns by name
    new = vi.predict(fit, key, x_new, None)     predictions, comparison  vi.after
    vi.save(fit, path); vi.load(path, model)    to a file and back      vi.store

Bounds and divergences are pure functions: `vi.bounds`, `vi.divergences`. What makes
fits fast is in `vi.engine`. Each part loads when it is first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that editors and type checkers see what is loaded on demand
    from vijax.vi import after, bounds, checks, divergences, families, methods, targets
    from vijax.vi.after import (
        CheckedStatistic,
        Compared,
        Comparison,
        ElboTerm,
        ElboTerms,
        Loo,
        ModeSites,
        PowerScaling,
        PredictiveCheck,
        SiteDraws,
        Waic,
        compare,
        elbo_by_site,
        log_likelihood,
        loo,
        modes_by_site,
        posterior_predictive_check,
        power_scaling,
        predict,
        prior_predict,
        to_arviz,
        waic,
    )
    from vijax.vi.chains import nuts
    from vijax.vi.checks import (
        BayesFactor,
        Calibration,
        Drift,
        Evidence,
        Summary,
        bayes_factor,
        bridge,
        drift,
        evidence,
        sample,
        sample_discrete,
        summary,
        vsbc,
    )
    from vijax.vi.families import (
        Flow,
        FullRank,
        LowRank,
        MeanField,
        Mixture,
        Structured,
    )
    from vijax.vi.fitting import fit
    from vijax.vi.importance_weights import psis
    from vijax.vi.methods import (
        FixedDraws,
        Laplace,
        NestedLaplace,
        Pathfinder,
        Paths,
        StackedModes,
        Stochastic,
        multipath,
    )
    from vijax.vi.result import Fit
    from vijax.vi.store import load, save
    from vijax.vi.targets import (
        Stream,
        Target,
        from_log_density,
        from_numpyro,
        from_stream,
    )

_ROOMS = ("after", "bounds", "checks", "divergences", "families", "methods", "targets")
_NAMES = {
    "after": (
        "CheckedStatistic",
        "Compared",
        "Comparison",
        "ElboTerm",
        "ElboTerms",
        "Loo",
        "ModeSites",
        "PowerScaling",
        "PredictiveCheck",
        "SiteDraws",
        "Waic",
        "compare",
        "elbo_by_site",
        "log_likelihood",
        "loo",
        "modes_by_site",
        "posterior_predictive_check",
        "power_scaling",
        "predict",
        "prior_predict",
        "to_arviz",
        "waic",
    ),
    "checks": (
        "BayesFactor",
        "Calibration",
        "Drift",
        "Evidence",
        "Summary",
        "bayes_factor",
        "bridge",
        "drift",
        "evidence",
        "sample",
        "sample_discrete",
        "summary",
        "vsbc",
    ),
    "families": (
        "Flow",
        "FullRank",
        "LowRank",
        "MeanField",
        "Mixture",
        "Structured",
    ),
    "chains": ("nuts",),
    "fitting": ("fit",),
    "importance_weights": ("psis",),
    "methods": (
        "FixedDraws",
        "Laplace",
        "NestedLaplace",
        "Pathfinder",
        "Paths",
        "StackedModes",
        "Stochastic",
        "multipath",
    ),
    "result": ("Fit",),
    "store": ("load", "save"),
    "targets": ("Stream", "Target", "from_log_density", "from_numpyro", "from_stream"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "BayesFactor",
    "Calibration",
    "CheckedStatistic",
    "Compared",
    "Comparison",
    "Drift",
    "ElboTerm",
    "ElboTerms",
    "Evidence",
    "Fit",
    "FixedDraws",
    "Flow",
    "FullRank",
    "Laplace",
    "Loo",
    "LowRank",
    "MeanField",
    "Mixture",
    "ModeSites",
    "NestedLaplace",
    "Pathfinder",
    "Paths",
    "PowerScaling",
    "PredictiveCheck",
    "SiteDraws",
    "StackedModes",
    "Stochastic",
    "Stream",
    "Structured",
    "Summary",
    "Target",
    "Waic",
    "after",
    "bayes_factor",
    "bounds",
    "bridge",
    "checks",
    "compare",
    "divergences",
    "drift",
    "elbo_by_site",
    "evidence",
    "families",
    "fit",
    "from_log_density",
    "from_numpyro",
    "from_stream",
    "load",
    "log_likelihood",
    "loo",
    "methods",
    "modes_by_site",
    "multipath",
    "nuts",
    "posterior_predictive_check",
    "power_scaling",
    "predict",
    "prior_predict",
    "psis",
    "sample",
    "sample_discrete",
    "save",
    "summary",
    "targets",
    "to_arviz",
    "vsbc",
    "waic",
]


def __getattr__(name: str) -> Any:
    """Import a part when it is first named."""
    if name in _MODULE_OF:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
        globals()[name] = getattr(module, name)
        return globals()[name]
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what a user wants."""
    return sorted(__all__)
