"""How the clients log in to the brokers, what a user may do there, and why a connection fails."""
