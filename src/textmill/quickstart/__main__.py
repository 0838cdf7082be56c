"""``python -m textmill.quickstart FOLDER PORT MOVED``: the process that serves the site."""

import sys

from textmill.quickstart.server import serve_until_alone

if __name__ == "__main__":
    serve_until_alone(*sys.argv[1:])
