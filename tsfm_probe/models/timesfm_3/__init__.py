"""TimesFM 3.0: its adapter, and contexts as it reads them."""
