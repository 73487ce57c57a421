"""How results and progress look on a terminal. What a pipe or a file gets is written elsewhere, without colours."""
