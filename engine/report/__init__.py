"""engine/report."""
