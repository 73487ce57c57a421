"""Other programs for the same task, each a process of its own."""
