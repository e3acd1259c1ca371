"""Whether to believe a fit."""
