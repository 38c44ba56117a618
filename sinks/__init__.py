"""Channels to people and programs, one file each; importing the package registers them all."""

from sinks import console, email, slack, webhook

__all__ = ["console", "email", "slack", "webhook"]
