"""Discovery: clusters that are found where others keep them, beside those of the configuration."""
