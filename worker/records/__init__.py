"""The records on the topics: their types, bytes, headers and published schemas."""
