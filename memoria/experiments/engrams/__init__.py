"""What the paper saw in the lives of engrams, looked for in a memory of one's own."""
