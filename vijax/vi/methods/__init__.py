"""Methods: how q is found. Each is a frozen object that holds its options.

    FixedDraws()   Newton's method on draws that stay fixed; mean field and full rank
    Stochastic()   Optax on fresh draws, with averaging and a stop rule; every family
    StackedModes() a normal by fixed draws at every mode that is found
    Laplace()      a normal at the mode, with the curvature there
    Pathfinder()   the best normal along several quasi-Newton paths
    NestedLaplace()  globals by fixed draws, locals by the curvature given them

`vi.fit(target, key, method=Stochastic(num_draws=1, optimizer=optax.adam(0.01)))`; the
names "fixed_draws", "stochastic", "laplace", "pathfinder" and "nested_laplace" stand
for the defaults.
`multipath` gives draws from many paths, weighed by importance. `methods.base` says what
a method of your own needs.
"""

from vijax.vi.methods.fixed_draws import FixedDraws
from vijax.vi.methods.laplace import Laplace
from vijax.vi.methods.multipath_pathfinder import Pathfinder, Paths, multipath
from vijax.vi.methods.nested_laplace import NestedLaplace
from vijax.vi.methods.stacked_modes import StackedModes
from vijax.vi.methods.stochastic import Stochastic

__all__ = [
    "FixedDraws",
    "Laplace",
    "NestedLaplace",
    "Pathfinder",
    "Paths",
    "StackedModes",
    "Stochastic",
    "multipath",
]


def __dir__() -> list[str]:
    return __all__
