"""What is durable: checkpoints, firings, missions, deliveries, quarantine."""
