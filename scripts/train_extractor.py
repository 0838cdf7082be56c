"""Write src/textmill/extract/weights/main_text.npz: the numbers of the block classifier.

    python -m scripts.train_extractor WCXB_DEV_FOLDER [--output FILE]

WCXB_DEV_FOLDER holds `html` and `ground-truth` of the Web Content Extraction Benchmark's development set (Murrough
Foley, CC BY 4.0, https://github.com/Murrough-Foley/web-content-extraction-benchmark). Needs the extra
`extractor-training` (LightGBM, scikit-learn). Training uses one thread and fixed seeds: on one machine it writes the
same bytes each time, and prints their SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from pathlib import Path

from benchmarks.extraction_labels import labelled
from benchmarks.extraction_pages import read_pages
from benchmarks.extraction_training import Trainer

WEIGHTS = Path(__file__).parents[1] / "src/textmill/extract/weights/main_text.npz"


def main() -> None:
    """Train on all folds, write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", flush=True)

    pages = read_pages(arguments.folder)
    report(f"{len(pages)} pages")
    trainer = Trainer(labelled(pages), report)
    stored = io.BytesIO()
    trainer.classifier().save(stored)
    content = stored.getvalue()
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_bytes(content)
    report(f"{arguments.output}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
