"""Free recall: lists of words learned and recalled in any order, by people and by memories."""
