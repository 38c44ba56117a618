"""The policy file: who may approve what, what is approved by itself, and the brakes."""
