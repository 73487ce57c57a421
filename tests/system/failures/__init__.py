"""Workers, Kafka and Redis that end, pause or forget: nothing is lost or twice."""
