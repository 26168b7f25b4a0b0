"""HTTP: the only code that knows httpx, h11 and the generated endpoint functions."""
