"""What travels on the topics: types, bytes, headers and published schemas."""
