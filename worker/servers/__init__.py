"""What reaching a server takes, whichever it is: its address, TLS, and the cause when it cannot be reached."""
