"""How fits are made fast."""
