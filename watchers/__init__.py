"""Sources of signals: one file each; the registry lists them."""
