"""A page as one file that opens without a network: what is in it (`contents`), and how it is written (`document`).

A browser asks for what its page shows (`asked`), the command line for what a page begins with (`opened`); from there on
both go the same way: view → figure, by the panel's own `draw` → HTML. Knows panels; knows nothing of routes and files.
"""
