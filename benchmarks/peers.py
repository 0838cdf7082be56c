"""The peers' environment: what textmill is measured against, installed apart from it.

    python -m benchmarks.peers            # install or check, print its interpreter

The folder is `build/peers` (or `--peers`, or the variable TEXTMILL_PEERS); one that is complete is used as it is.
Nothing but a package index is asked: no models, no tokenizer data.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

REQUIREMENTS = {
    "datatrove": "datatrove==0.10.1",
    # Its English word and sentence tokenizer is spaCy's blank `en`: no model, no nltk data.
    "spacy": "spacy>=3.8,<4",
    "regex": "regex",
    # Its readers and its deduplication; later xxhash refuses the strings that it passes.
    "orjson": "orjson",
    "tokenizers": "tokenizers",
    "xxhash": "xxhash>=3.5,<4",
    "fasttext": "fasttext-numpy2-wheel==0.9.2",
    "fasteners": "fasteners",
    "uniseg": "uniseg>=0.10",
    "ftfy": "ftfy>=6.3",
    # Keywords; and datatrove's filter of addresses, with tldextract.
    "ahocorasick": "pyahocorasick>=2.1",
    "tldextract": "tldextract>=5",
}
OPTIONAL = {
    "daft": "daft>=0.7",
    # Has no wheels: compiled where the headers of ICU are installed (Debian: libicu-dev, pkg-config, g++).
    "icu": "PyICU",
    # Words of Chinese, Japanese and Thai by dictionaries made for each.
    "rjieba": "rjieba>=0.2",
    "sudachipy": "sudachipy>=0.6",
    "sudachidict_core": "sudachidict_core",
    "pythainlp": "pythainlp>=5",
    # Crawling.
    "scrapy": "scrapy==2.19.*",
    "warcio": "warcio>=1.7.5",
}


class NoPeersError(Exception):
    """The peers' environment cannot be made; the message says why and what to do."""


def peers_python(folder: Path | None = None, install: bool = True) -> Path:
    """The interpreter of the peers' environment, which is made if it is not there.

    Raises:
        NoPeersError: it is missing and may not, or could not, be made.
    """
    folder = folder or default_folder()
    python = folder / "bin" / "python"
    missing = _missing(python, REQUIREMENTS) if python.exists() else list(REQUIREMENTS)
    if not missing:
        return python
    if not install:
        raise NoPeersError(
            f"no peers in {folder}: run `python -m benchmarks.peers` once, with a package index"
        )
    print(f"installing peers into {folder}: {', '.join(REQUIREMENTS[name] for name in missing)}", flush=True)
    if not python.exists():
        venv.create(folder, with_pip=True)
    error = _install(python, [REQUIREMENTS[name] for name in missing], limit=600)
    if error:
        raise NoPeersError(
            f"the peers could not be installed into {folder}:\n{error}\n"
            "They need a package index and Python 3.11 to 3.13; TEXTMILL_PEERS names an environment that has them."
        )
    for name in _missing(python, OPTIONAL):
        if _install(python, [OPTIONAL[name]], limit=300):
            print(f"  without {OPTIONAL[name]}: it did not install here, and what needs it is left out")
    if still := _missing(python, REQUIREMENTS):
        raise NoPeersError(f"installed, but these cannot be imported in {folder}: {', '.join(still)}")
    return python


def default_folder() -> Path:
    return Path(os.environ.get("TEXTMILL_PEERS") or ROOT / "build" / "peers")


def has(python: Path, module: str) -> bool:
    """Whether a module can be imported there."""
    return not _missing(python, {module: module})


def run(python: Path, script: str, *arguments: str) -> str:
    """Standard output of a script of this folder, run in the peers' environment without network.

    Raises:
        NoPeersError: it failed; the message ends with what it said.
    """
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name(script)), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
    )
    if done.returncode:
        raise NoPeersError(f"{script} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def _missing(python: Path, names: dict[str, str]) -> list[str]:
    code = "import importlib.util as u,sys;print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
    done = subprocess.run([str(python), "-c", code, *names], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else list(names)


def _install(python: Path, requirements: list[str], limit: int) -> str:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"pip took more than {limit} s"
    return done.stderr[-2000:] if done.returncode else ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, help="folder of the environment")
    try:
        print(peers_python(parser.parse_args().peers))
    except NoPeersError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
