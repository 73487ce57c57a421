"""What the pages say is so: links, commands, examples."""
