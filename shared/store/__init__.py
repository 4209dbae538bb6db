"""Redis, behind one door.

In:    settings; Lua scripts from `lua/`.
Out:   a client with time-outs whose errors are ours.
Never: `redis.exceptions` outside this folder.
"""
