"""Autologging: training functions of other libraries, wrapped so that a run of each call is kept.

`patch.py` is the only place that replaces foreign functions; `session.py` says into which run a call goes; the rest knows one
library each. What goes wrong in here is said in a warning and never reaches the training.
"""

from __future__ import annotations
