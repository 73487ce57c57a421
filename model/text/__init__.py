"""Text to tokens and back: normalising, tokenizing, detokenizing."""
