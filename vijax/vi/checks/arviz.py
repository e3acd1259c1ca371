"""Hand a fit over to ArviZ (an optional extra: `pip install -e '.[arviz]'`)."""

from typing import Any

import numpy as np

from vijax.extras import require
from vijax.types import Key
from vijax.validate import check
from vijax.vi.checks.summary_table import sample
from vijax.vi.result import Fit


def to_arviz(fit: Fit, key: Key, num_samples: int = 1000) -> Any:
    """Return draws of q for ArviZ, as one chain, with the verdict as attributes.

    A DataTree for ArviZ 1, InferenceData for ArviZ 0. The posterior group holds the
    constrained unknowns and deterministic sites by name; its attributes hold verdict,
    advice, trusted, correctable, khat, khat_se, and elbo, elbo_se, log_evidence,
    log_evidence_se in nats; the evidence where correctable.

    Raises:
        ImportError: ArviZ is not installed; the text says how to install it.
        ValueError: for fewer than 1 sample.
    """
    check(num_samples >= 1, "num_samples", num_samples, "give at least 1")
    arviz = require("arviz", extra="arviz", purpose="vi.to_arviz")
    draws = sample(fit, key, num_samples)
    numbers = ("khat", "khat_se", "elbo", "elbo_se", "log_evidence", "log_evidence_se")
    groups = {"posterior": {name: np.asarray(x)[None] for name, x in draws.items()}}
    # ArviZ 1 takes the groups as one dictionary, ArviZ 0 as keywords.
    is_one = int(arviz.__version__.partition(".")[0]) >= 1
    data = arviz.from_dict(groups) if is_one else arviz.from_dict(**groups)
    data.posterior.attrs |= {
        "inference_library": "vijax",
        "verdict": fit.verdict,
        "advice": fit.advice,
        "trusted": int(fit.trusted),
        "correctable": int(fit.correctable),
        **{name: float(getattr(fit, name)) for name in numbers},
    }
    return data
