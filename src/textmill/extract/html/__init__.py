"""The HTML parser: kernels over the UTF-8 bytes of a page, by the standard of 2026.

::

    bytes ─► tokens ─► modes ─┬─ body ─ formatting     tree construction, in `nodes`
             (tokeniser)      └─ tables, head, SVG
    nodes ─► blocks ─┬─ plain_text ─ references         what a reader sees
                     ├─ block_counts                    what it is made of
                     └─ attribute_tokens                what attributes tell

`textmill.extract.tree.PageParser` drives it.
"""
