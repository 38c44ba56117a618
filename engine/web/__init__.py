"""engine/web."""
