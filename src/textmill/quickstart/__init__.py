"""The web site that the quickstart crawls: the documentation inside the installed Python, on loopback.

::

    docstrings, READMEs, licences ──► pages (navigation, indexes, print versions, robots.txt) ──► HTTP server

Nothing of it is special to the crawler: it is an ordinary small site with what ordinary sites have, among it
pages that robots.txt closes, a moved page, a dead link and copies for printing.

>>> from textmill.quickstart import Article, render_site
>>> site = render_site([Article("module/json", "# json\\n\\nReads and writes JSON.", "python", "3.13")])
>>> sorted(path for path in site if path.startswith("module/"))
['module/index.html', 'module/json.html']
>>> b"<p>Reads and writes JSON.</p>" in site["module/json.html"]
True
"""

from textmill.quickstart.articles import Article, installed_articles
from textmill.quickstart.hosting import hosted_site
from textmill.quickstart.server import serve
from textmill.quickstart.site import MOVED, render_site, write_site

__all__ = ["MOVED", "Article", "hosted_site", "installed_articles", "render_site", "serve", "write_site"]
