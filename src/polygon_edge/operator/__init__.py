"""The operator's gRPC: what a running node answers on its `--grpc-address`, and how commands ask it."""
