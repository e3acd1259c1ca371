"""What several families share, behind the scenes.

components            the number of components of a mixture over a count
gamma_rates           the update of a Gamma prior, and its part of the evidence
regression_factors    triangular factors of a regression
regression_priors     its flat priors, and how NumPyro declares them
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return sorted(__all__)
