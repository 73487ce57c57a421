"""The terminal demo: local servers, a simulated feed, a worker and its output."""
