"""Networks from which heads, parts or layers were taken: smaller matrices, fewer modules."""
