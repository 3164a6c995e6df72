"""Recognition: sentences read once, told from foils, recalled from a half, and for how long."""
