"""What becomes of records, whatever they hold and wherever they stand in a log."""
