"""The network of many languages: goes on from an English one, with a vocabulary of pieces and teachers for the rest."""
