"""What happened to the engrams of a memory: firings, events, and the states that follow."""
