"""Servers as people run them: encrypted, with logins, replicated."""
