"""The dogwatch engine: signals in, proven missions out."""
