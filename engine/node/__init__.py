"""The agent of a node: what devices it has and how they fare, read without privileges."""
