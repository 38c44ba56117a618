"""Desired state: fetched from repositories, rendered, and compared with what is."""
