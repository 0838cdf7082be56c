import subprocess
import sys
from pathlib import Path

import pytest
from tests.stage_context import LocalStageContext
from tests.tokenizer.corpus import prose, write_corpus

from textmill.tokenizer.settings import TokenizerSection

SCRIPT = """
import sys
from textmill.tokenizer.load import load_encoder
from textmill.tokens.build import encode_shard
root, shard, compiled = sys.argv[1:]
from pathlib import Path
encoder = load_encoder(Path(root) / "tokenizer")
result = encode_shard(
    {"documents": shard, "tokenizer": f"{root}/tokenizer", "tokenizer_sha256": "", "scratch": root,
     "compiled": compiled == "compiled", "seed": 0, "validation": 0.1, "test": 0.0,
     "vocab_size": encoder.vocab_size, "eos_id": encoder.eos_id},
    lambda **numbers: None,
)
# Not getrusage: its peak counts what the parent held when it forked.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024, result["splits"]["train"]["tokens"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("engine, sizes", [("library", (6, 24)), ("compiled", (6, 96))])
def test_a_worker_needs_the_same_memory_whatever_the_shard(
    tmp_path: Path, engine: str, sizes: tuple[int, int]
) -> None:
    peaks = []
    for megabytes in sizes:
        root = tmp_path / str(megabytes)
        texts = [text for text in prose() if len(text) > 2000]
        texts = texts * (megabytes * 10**6 // sum(map(len, texts)))
        documents = write_corpus(root, texts, 1)
        context = LocalStageContext(root, {"documents": documents})
        settings = {"train": {"vocab_size": 500, "sample_bytes": "1MB"}}
        TokenizerSection.model_validate(settings).run(context)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(root), str(root / documents.outputs[0]), engine],
            capture_output=True,
            text=True,
            check=True,
        )
        peak, tokens = map(int, done.stdout.split())
        assert tokens > megabytes * 10**5
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 60
