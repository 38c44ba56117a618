"""Missions: kinds, collecting what they need, running them, telling of them."""
