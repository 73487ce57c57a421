"""Commands about networks, which need no server: train, measure and compare them, and look into them."""
