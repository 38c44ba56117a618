"""engine/missions/kinds."""
