"""The events of a shadow beside those of the group that it follows."""
