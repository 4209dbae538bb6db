"""Every name that can be seen from outside a process, each in one place.

In:    nothing.
Out:   constants.
Never: logic, clients, settings.
"""
