"""Deduplication by others. Runs in the peers' environment: imports nothing of textmill.

python peer_dedup.py signatures datatrove|daft FILE     # {"cpu": seconds, "documents": n}
python peer_dedup.py stages FILES FOLDER WORKERS OUT      # datatrove's four MinHash stages; OUT: {"kept": [ids]}

FILE holds JSON lines with `id` and `text`. Signatures: 112 hashes of 5-word shingles, texts in memory.
"""

import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    task = sys.argv[1]
    if task == "signatures":
        name, path = sys.argv[2:]
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - no textmill, no fuss
            texts = [json.loads(line)["text"] for line in file]
        print(json.dumps({"datatrove": datatrove, "daft": daft}[name](texts)))
    else:
        path, folder, workers, out = sys.argv[2:]
        Path(out).write_text(json.dumps(stages(Path(path), Path(folder), int(workers))), "utf-8")


def datatrove(texts: list) -> dict:
    """The step's own two functions, without reading, writing and sorting."""
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from loguru import logger

    logger.remove()
    step = MinhashDedupSignature("/tmp/nothing-is-written-here")
    step.get_signature(step.get_shingles("Loads the tokenizer and draws the parameters, once and for all."))
    done = 0
    begin = time.process_time()
    for text in texts:
        shingles = step.get_shingles(text)
        if shingles.size:
            step.get_signature(shingles)
            done += 1
    return {"cpu": time.process_time() - begin, "documents": done}


def daft(texts: list) -> dict:
    """The built-in function over a table in memory; threads count together. It normalises nothing."""
    import daft
    from daft.functions import minhash

    table = daft.from_pydict({"text": texts}).collect()
    few = daft.from_pydict({"text": texts[:10]}).collect()
    work = minhash(daft.col("text"), num_hashes=112, ngram_size=5, seed=1)
    few.select(work).collect()
    begin = time.process_time()
    found = table.select(work).collect()
    return {"cpu": time.process_time() - begin, "documents": len(found)}


def stages(path: Path, folder: Path, workers: int) -> dict:
    """Signatures, buckets, clusters, filter; CPU seconds and the time on the clock of each; ids of what is kept."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashBuildIndex,  # noqa: F401 - shows early that this is the right version
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig()
    tasks = len(list(path.parent.glob(path.name))) if "*" in path.name else 1
    reader = JsonlReader(str(path.parent), glob_pattern=path.name)
    out = {name: str(folder / name) for name in ("signatures", "buckets", "remove", "kept", "logs")}
    plan = {
        "signatures": ([reader, MinhashDedupSignature(out["signatures"], config)], tasks),
        "buckets": (
            [MinhashDedupBuckets(out["signatures"], out["buckets"], config=config)],
            config.num_buckets,
        ),
        "clusters": ([MinhashDedupCluster(out["buckets"], out["remove"], config=config)], 1),
        "filter": (
            [reader, MinhashDedupFilter(out["remove"]), JsonlWriter(out["kept"], compression=None)],
            tasks,
        ),
    }
    spent = {}
    for name, (pipeline, count) in plan.items():
        start, begin = used(), time.time()
        LocalPipelineExecutor(
            pipeline, tasks=count, workers=workers, logging_dir=f"{out['logs']}/{name}", start_method="fork"
        ).run()
        spent[name] = {"cpu": used() - start, "seconds": time.time() - begin}
    kept = []
    for file in sorted(Path(out["kept"]).glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            kept += [json.loads(line)["id"] for line in lines]
    return {"stages": spent, "kept": kept}


def used() -> float:
    """CPU seconds of this process and those that it waited for."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


if __name__ == "__main__":
    main()
