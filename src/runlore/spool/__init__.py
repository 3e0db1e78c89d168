"""The journal of a process that logs, and the thread that brings it to the store.

A logging call writes a record to a file of this process (`journal.py`) and returns; a thread (`shipper.py`) reads the file back
and delivers it (`delivery.py`). What a process leaves behind is delivered by the next one, by `runlore sync`, or by
`runlore ui` (`leftovers.py`). `spool.py` is the face that clients see.
"""
