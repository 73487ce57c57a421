"""What the page knows of the topics, in bounded memory, whatever flows through them."""
