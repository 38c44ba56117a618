"""engine/stream."""
