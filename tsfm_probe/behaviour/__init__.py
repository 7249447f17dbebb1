"""What a forecast does with its context: copies from it, or turns in a season; on arrays alone."""
