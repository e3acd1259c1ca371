"""NumPyro models as targets: their unknowns, their density, and its terms.

numpyro_model    the target of a model; `vi.from_numpyro`
model_sites      which unknowns there are, and what no density can be made of
enumeration      discrete unknowns, summed out and drawn
scan_steps       values of sites in a scan, in the order of its steps
replay           the model run again, at given unknowns and other arguments
site_densities   log densities of single observations and priors
site_parameters  parameters that no distribution can have
impossible_data  which data leave a density finite nowhere
handlers_around  NumPyro's handlers around a caller, which a target does not see
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__
