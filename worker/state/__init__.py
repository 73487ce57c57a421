"""What is kept of a stream, and how it is kept in Redis."""
