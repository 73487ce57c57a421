"""What an attacker tries that is no matter of one module alone; docs/security.md names the others."""
