"""A posterior on a grid, for any likelihood, and its highest-density regions."""
