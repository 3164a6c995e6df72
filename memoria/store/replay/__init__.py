"""A memory lived again: from its log, from its inputs, or under other parameters."""
