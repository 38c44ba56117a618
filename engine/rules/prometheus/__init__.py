"""Alerting rules of Prometheus become rules of dogwatch, where their meaning can be kept."""
