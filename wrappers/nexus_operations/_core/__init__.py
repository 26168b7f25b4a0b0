"""The core: decisions without I/O, clock or thread. It imports nothing of the layers above."""
