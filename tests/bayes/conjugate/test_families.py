"""Every conjugate family against its own NumPyro model and against itself.

For any parameters θ, log p(θ) p(x | θ) = log p(θ | x) + log p(x). The left side is the
NumPyro model; that the right side equals it at several θ fixes posterior and evidence.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpyro.infer.util import log_density

from tests.bayes.cases import CASES, problems
from tests.cases import slow_except
from vijax import bayes

RUNS = settings(max_examples=20, deadline=None, derandomize=True, database=None)
# The others are long to compile: test_streaming.py has their posteriors each time.
LONG = {
    "beta_bernoulli",
    "beta_geometric",
    "beta_negative_binomial",
    "dirichlet_multinomial",
    "truncated_gamma_poisson",
}
QUICK = set(CASES) - LONG


def rows(data, part):
    return {name: values[part] for name, values in data.items()}


def concatenate(first, rest):
    def join(one, more):
        return jnp.concatenate([jnp.asarray(one)[None], more])

    return jax.tree.map(join, first, rest)


@cache
def compiled(name):
    """Return all identities of one family as a compiled function of prior and data."""
    case = CASES[name]
    family, observed = case.family, next(iter(case.data))
    fixed = case.fixed()

    def gap(prior, posterior, data, uniforms):
        values = {site: point(uniforms) for site, point in case.points.items()}
        joint = log_density(family.model, (prior,), data | fixed, values)[0]
        return joint - case.log_density(posterior, values)

    def log_evidence(prior, datum):
        return family.log_evidence(prior, **datum, **fixed)

    def log_predictive(prior, datum):
        others = {name: datum[name] for name in datum if name != observed}
        seen = family.predictive(prior, **others, **fixed)
        return seen.log_prob(datum[observed]).sum()

    def identities(parameters, data, uniforms):
        prior = case.prior(*parameters)
        posterior = family.posterior(prior, **data, **fixed)
        gaps = jax.vmap(lambda u: gap(prior, posterior, data, u))(uniforms)

        def add(state, datum):
            after = family.posterior(state, **datum, **fixed)
            return after, after

        # The first datum alone: it may change the type of the prior.
        begin, singles = (
            rows(data, slice(0, 1)),
            {k: v[:, None] for k, v in data.items()},
        )
        after_one = jax.tree.map(jnp.asarray, family.posterior(prior, **begin, **fixed))
        last, later = jax.lax.scan(add, after_one, rows(singles, slice(1, None)))
        before = concatenate(after_one, jax.tree.map(lambda leaf: leaf[:-1], later))
        rest = rows(singles, slice(1, None))
        chain = jax.vmap(log_evidence)(before, rest)
        # The multinomial's total is no number that can be traced: a test of its own.
        countable = name != "dirichlet_multinomial"
        predicted = jax.vmap(log_predictive)(before, rest) if countable else chain
        return {
            "gaps": gaps,
            "evidence": log_evidence(prior, data),
            "first": log_evidence(prior, begin),
            "chain": chain,
            "predicted": predicted,
            "posterior": jax.tree.leaves(posterior),
            "sequential": jax.tree.leaves(last),
        }

    return jax.jit(identities)


@pytest.mark.parametrize("name", slow_except(QUICK, sorted(CASES)))
def test_identities(name):
    @RUNS
    @given(problem=problems(CASES[name]), seed=st.integers(0, 1000))
    def run(problem, seed):
        uniforms = np.random.default_rng(seed).uniform(0.01, 0.99, (3, 4))
        result = compiled(name)(*problem, uniforms)
        evidence = result["evidence"]
        close = {"rtol": 1e-10, "atol": 1e-9}
        for gap in result["gaps"]:
            np.testing.assert_allclose(gap, evidence, **close)
        for each in (result["chain"], result["predicted"]):
            np.testing.assert_allclose(result["first"] + each.sum(), evidence, **close)
        for one, two in zip(result["sequential"], result["posterior"], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-10)

    with jax.enable_x64(True):
        run()


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
def test_multinomial_evidence_is_the_product_of_its_predictives():
    family, prior = (
        bayes.dirichlet_multinomial,
        dist.Dirichlet(jnp.array([0.7, 2, 1.5])),
    )
    rows_of_counts = [[4, 0, 2], [0, 0, 1], [100, 3, 250]]
    total, state = 0.0, prior
    for row in rows_of_counts:
        total += family.predictive(state, sum(row)).log_prob(np.array(row))
        state = family.posterior(state, [row])
    evidence = family.log_evidence(prior, rows_of_counts)
    np.testing.assert_allclose(total, evidence, rtol=1e-10)
