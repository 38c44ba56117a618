"""engine/missions."""
