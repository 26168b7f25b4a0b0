"""What a wait shows: progress, the live board, spans."""
