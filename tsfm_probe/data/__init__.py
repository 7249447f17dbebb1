"""Series, windows and forecasts, and where they come from."""
