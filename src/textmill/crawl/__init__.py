"""The crawler: seeds in, a sealed set of WARC files out."""
