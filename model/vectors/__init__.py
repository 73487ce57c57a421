"""Word vectors: their file formats, word2vec training, and nearest neighbours."""
