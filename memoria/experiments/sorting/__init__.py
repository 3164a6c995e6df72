"""The sorting task: which symbol came most often, over a stream longer than a network can see."""
