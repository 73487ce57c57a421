"""Which language a text is in, from its first characters."""
