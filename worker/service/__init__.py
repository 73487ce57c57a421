"""The running worker: the Faust app put together, served, and looked at once a second."""
