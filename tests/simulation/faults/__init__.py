"""What is done to the world: to its processes, their connections, and the data of the servers."""
