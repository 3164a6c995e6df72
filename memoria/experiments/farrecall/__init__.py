"""Far recall: facts shown once, long before they are asked for, with other things in between."""
