"""The worker's own code as a simulated process, with models of Faust, of its consumer and of the engine."""
