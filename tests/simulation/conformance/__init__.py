"""The model of Kafka answers as a real cluster does: the same scripts of requests on both."""
