"""Lua scripts, one file each; `shared/store/redis.py` loads them by name."""
