"""What the weights alone say of heads and matrices: no series, no forward pass."""
