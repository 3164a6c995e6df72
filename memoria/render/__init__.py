"""Engrams moving from memory to memory, as a .gif, .mp4 or .html (extra `viz`)."""
