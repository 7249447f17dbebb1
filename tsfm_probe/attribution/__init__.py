"""What every part of a network writes towards the forecast, read off its residual stream."""
