"""The model: optional, last, and only ever given evidence. The only home of anthropic."""
