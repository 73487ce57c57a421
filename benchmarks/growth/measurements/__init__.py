"""What is measured, one measurement a file; each gives a `Report`."""
