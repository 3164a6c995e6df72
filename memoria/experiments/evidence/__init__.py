"""Which turns of a conversation answer its questions, and whether a memory of it finds them."""
