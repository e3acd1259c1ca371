"""What a particle physicist asks of the rest."""

from vijax.physics.target import expected_counts, from_pyhf

__all__ = ["expected_counts", "from_pyhf"]
