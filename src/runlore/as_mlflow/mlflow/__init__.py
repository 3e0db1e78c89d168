"""What `import mlflow` finds in child processes of `runlore run --as-mlflow`, whose `PYTHONPATH` leads here first.

Importing it puts Runlore in its own place. Beside it, `mlflow.dist-info` tells `importlib.metadata` the version.
"""

import sys

from runlore.mlflow_alias import install_as_mlflow

del sys.modules[__name__]
install_as_mlflow()
