"""Main text: an HTML page in, what a reader came for out.

::

    page ─► html (tokens, tree, blocks) ─► tree.Page ─┬─► classifier ─► kept blocks ─► rendering ─► text, Markdown
            kernels over UTF-8                        │   (features, trees, decoding)
                                                      └─► metadata: title, author, published, language, site
    step      the step `extract` of a recipe          methods     main, articles, and those of other libraries

>>> from textmill.extract.methods import shown
>>> from textmill.extract.rendering import render
>>> from textmill.extract.tree import PageParser
>>> page = PageParser().parse(b"<title>Mill</title><h1>The mill</h1><p>It <b>turns</b>.<script>x()</script>")
>>> [page.block_text(block) for block in range(len(page.blocks))]
['The mill', 'It turns.']
>>> render(page, shown(page), "markdown")
'# The mill\\n\\nIt turns.'
"""
