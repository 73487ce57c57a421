"""Text to sentiment: tokens, an LSTM whose state outlives the text, probabilities. Knows no Kafka and no Redis."""

from model.phrases import Phrase, PhraseGrammar, make_phrases

__all__ = ["Phrase", "PhraseGrammar", "make_phrases"]
