"""The operator's gRPC: what a running node answers on its `--grpc-address`, and how commands ask it."""

import os

# The C core of gRPC writes to standard error by itself, where a log line or a JSON document is expected; what it has to
# say reaches us as errors as well. It reads this when it is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
