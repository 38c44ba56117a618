"""Time series from elsewhere: Prometheus, metrics-server, endpoints that are scraped."""
