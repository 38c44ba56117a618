"""The log: records, and the embedded bus."""
