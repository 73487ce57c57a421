"""The views of the page: one file each, and the markup that they share."""
