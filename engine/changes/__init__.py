"""Changes: worked out, judged, applied as approved, verified, undone. No client in here."""
