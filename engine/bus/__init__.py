"""The log: records, and the two buses: embedded, and Kafka."""
