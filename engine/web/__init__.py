"""HTTP pages over ports; knows no store, bus or rule."""
