"""The web as bytes: addresses, links, charsets, and the archives that pages are kept in."""
