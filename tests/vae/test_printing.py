"""Results print as a person reads them, and as their shape where there are many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.metrics import Estimate
from vijax.vae.anomaly import AnomalyScores
from vijax.vae.compression import RateDistortion
from vijax.vae.evaluation import (
    AggregatePosterior,
    ELBOEstimate,
    MeanLogEvidence,
    OffData,
    RateDistortionCurve,
)

SCORES = """\
3 examples         5 %     median       95 %
reconstruction               1.1          2        2.9
kl                           1.1          2        2.9
negative_elbo                1.1          2        2.9
negative_log_evidence        1.1          2        2.9
latent_norm                  1.1          2        2.9"""
CURVE = """\
    β              rate        distortion   nats per example
 0.00     0.000 ± 0.010       100.0 ± 2.0
 0.50    10.000 ± 0.010        90.0 ± 2.0
 1.00    20.000 ± 0.010        80.0 ± 2.0"""


def numbers(*values):
    return map(jnp.float32, values)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Estimate(*numbers(0.5, 0.0125)), "0.500 ± 0.013"),
        (OffData(*numbers(0.25, 0.03)), "0.250 ± 0.030 off the data"),
        (
            RateDistortion(*numbers(1234.56, 0.012, 0.001)),
            "1234.6 bits, mean square error 0.0120 ± 0.0010",
        ),
        (
            AggregatePosterior(jnp.zeros(2), jnp.ones(2), *numbers(3.25, 0.125)),
            "mutual information 3.250 nats, KL[q(z) ‖ prior] 0.125 nats",
        ),
        (
            ELBOEstimate(*numbers(-90.0, 0.25, 0.01, -70.0, 0.2, 20.0, 0.1)),
            "ELBO -90.00 ± 0.25 nats per example = -70.00 ± 0.20 - KL 20.00 ± 0.10",
        ),
        (
            MeanLogEvidence(*numbers(-88.0, 0.25, 0.01, 120.0, 3.0)),
            "log p(x) -88.00 ± 0.25 nats per example; "
            "effective sample size 120 (median), 3 (least)",
        ),
        (AnomalyScores(*5 * [jnp.array([1.0, 2.0, 3.0])]), SCORES),
        (
            RateDistortionCurve(
                jnp.array([0.0, 0.5, 1.0]),
                jnp.array([0.0, 10.0, 20.0]),
                jnp.full(3, 0.01),
                jnp.array([100.0, 90.0, 80.0]),
                jnp.full(3, 2.0),
            ),
            CURVE,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_result_prints_its_numbers(result, text):
    lines = [line.rstrip() for line in str(result).splitlines()]
    assert "\n".join(lines) == text
    many = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), result)
    assert ("  [1]  " if type(result) is Estimate else "shape (2") in str(many)
    traced = []
    jax.make_jaxpr(lambda one: traced.append(str(one)))(result)
    one_by_one = type(result) in (Estimate, OffData, ELBOEstimate)
    assert ("traced float32[]" if one_by_one else "shape") in traced[0]
