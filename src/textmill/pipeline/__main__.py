"""``python -m textmill.pipeline``: a worker process (see :mod:`textmill.pipeline.worker`)."""

from textmill.pipeline.worker import main

main()
