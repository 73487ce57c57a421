"""Text to sentiment: tokens, an LSTM whose state outlives the text, probabilities. Knows no Kafka and no Redis."""
