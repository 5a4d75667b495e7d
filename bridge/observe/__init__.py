"""What operators see: one event per message, counts, health. Never a patient's value."""
