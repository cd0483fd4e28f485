"""What every service runs on: one handling path from a Kafka batch to a Redis commit. It knows no add-on."""
