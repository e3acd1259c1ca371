"""Template fits: HistFactory models, as the LHC experiments publish them.

    target = from_pyhf("workspace.json")     templates and systematics, read by pyhf
    maximum_likelihood, profile_scan         estimates, errors, the likelihood's profile
    hypothesis_test, upper_limit             CLs and its expected bands, asymptotic
    toy_test                                 CLs by simulated experiments
    discovery_test                           p-value and significance of a signal
    impacts                                  pulls, and what moves the signal strength
    template_yields                          expected yields before and after the fit
    expected_counts                          and at parameters, or at draws of them
    minimise                                 between bounds: for likelihoods of your own
    posterior_upper_limit                    Bayesian, of a fit: `vi.fit(target, key)`

The target is one of `vijax.vi`: `vi.fit`, `vi.nuts`, `vi.summary` give the posterior.
pyhf is an extra that parses; the likelihood is this package's own (`histfactory`).
"""

from vijax.physics.bounded_newton import Minimum, minimise
from vijax.physics.expected_yields import ChannelYields, template_yields
from vijax.physics.hypothesis_tests import (
    Discovery,
    HypothesisTest,
    UpperLimit,
    discovery_test,
    hypothesis_test,
    upper_limit,
)
from vijax.physics.likelihood_fit import (
    Profile,
    TemplateFit,
    maximum_likelihood,
    profile_scan,
)
from vijax.physics.nuisances import Impacts, impacts
from vijax.physics.posterior_limit import PosteriorLimit, posterior_upper_limit
from vijax.physics.target import expected_counts, from_pyhf
from vijax.physics.toys import ToyTest, toy_test

__all__ = [
    "ChannelYields",
    "Discovery",
    "HypothesisTest",
    "Impacts",
    "Minimum",
    "PosteriorLimit",
    "Profile",
    "TemplateFit",
    "ToyTest",
    "UpperLimit",
    "discovery_test",
    "expected_counts",
    "from_pyhf",
    "hypothesis_test",
    "impacts",
    "maximum_likelihood",
    "minimise",
    "posterior_upper_limit",
    "profile_scan",
    "template_yields",
    "toy_test",
    "upper_limit",
]


def __dir__() -> list[str]:
    return sorted(__all__)
