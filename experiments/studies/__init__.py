"""Studies that several experiments share."""
