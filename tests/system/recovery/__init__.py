"""What an operator does after a whole cluster is lost, on two real ones."""
