"""Main text: an HTML page in, what a reader came for out."""
