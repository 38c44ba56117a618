"""The nouns, ids, quantities, errors and ports; imports nothing of ours and does no I/O."""
