"""The hops of a request, one package each. The map is README.md of this folder."""
