"""One module a page: a few panels at a URL."""
