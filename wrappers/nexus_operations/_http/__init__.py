"""HTTP: the only code that knows httpx, aiohttp and the generated endpoint functions."""
