"""What is recorded of a model's likelihood on held-out images."""

from vijax.vae.evaluation import ELBOEstimate, MeanLogEvidence


def likelihood_record(
    evidence: MeanLogEvidence, elbo: ELBOEstimate
) -> dict[str, float]:
    """Return the mean log p(x) and the ELBO, nats per image, with their errors."""
    return {
        "log_evidence": float(evidence.log_evidence),
        "log_evidence_standard_error": float(evidence.standard_error),
        "log_evidence_draw_standard_error": float(evidence.draw_standard_error),
        "effective_sample_size": float(evidence.effective_sample_size),
        "least_effective_sample_size": float(evidence.least_effective_sample_size),
        "test_elbo": float(elbo.elbo),
        "test_elbo_standard_error": float(elbo.elbo_standard_error),
        "kl": float(elbo.kl),
    }
