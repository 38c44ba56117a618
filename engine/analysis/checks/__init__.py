"""Checks by subject: each module has a tuple CHECKS of pure functions over a ClusterView."""
