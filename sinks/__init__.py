"""Channels to people and programs, one file each; `sinks.registry` finds them by name."""
