"""How q is found."""
