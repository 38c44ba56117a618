"""Signals become firings: index, windows, levels, hold, evaluator, replay, self-tests. Pure."""
