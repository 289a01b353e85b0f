# Two commands matter: `make test` proves the code, `make demo` shows a node backed up while it seals. Everything else is a part of them.
# Targets only name tools; what needs a decision stands in tools/.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check golden bench bench-restore bench-backup bench-sealing bench-bls proto wheel lock docs crash-proof hostile-proof fuzz-proof forgery-proof interop

BIN := .venv/bin
# One profile for the linter and the tests, so that LevelDB and the cryptography are built once for both.
CARGO_PROFILE := --profile test --locked

help:            ## list the targets
	@sed -n 's/^\([a-z-]*\): .*## /\1 -- /p; s/^\([a-z-]*\): *## /\1 -- /p' $(MAKEFILE_LIST)

setup:           ## virtual environment, locked packages, the Rust core built into it
	@tools/setup

demo: setup      ## back up a sealing node, restore it, copy it cold; restore a recorded network, also damaged
	$(BIN)/python tools/demo.py

check: setup     ## format, lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	cargo fmt --all --check
	cargo clippy $(CARGO_PROFILE) --workspace --all-targets -- -D warnings

test: check      ## check, then every test of both languages
	$(BIN)/python -m pytest --cov --cov-report=term-missing
	cargo test --workspace --locked

golden: setup    ## replay all recorded networks found under POLYGON_EDGE_SHARED
	$(BIN)/python -m pytest tests/golden

bench: setup     ## measure the Rust core, then whole restores of the load chains
	cargo bench --workspace --locked
	$(BIN)/python benches/restore.py

bench-restore: setup ## whole restores of the load chains; GO=binary measures that client beside
	$(BIN)/python benches/restore.py $(if $(GO),--go $(GO))

bench-backup: setup ## whole backups of the load chains; GO=binary measures that client and server beside
	$(BIN)/python benches/backup.py $(if $(GO),--go $(GO))

bench-sealing: setup ## how evenly a lone validator seals: idle, under load, while two backups run
	$(BIN)/python benches/sealing.py

proto: setup     ## generate the Python of proto/*.proto anew
	$(BIN)/python -m grpc_tools.protoc --proto_path=polygon_edge/operator/proto=proto \
		--python_out=src --pyi_out=src polygon_edge/operator/proto/system.proto

bench-bls: setup ## restore of a generated chain of BLS validators; GO=binary measures that client beside
	$(BIN)/python benches/bls_chain.py $(if $(GO),--go $(GO))

wheel: setup     ## a wheel for this platform, in dist/
	$(BIN)/maturin build --release --locked --out dist

lock:            ## solve the dependencies anew into requirements.txt
	@tools/lock

docs: setup      ## the documentation site, in build/site
	$(BIN)/mkdocs build --strict

crash-proof: setup   ## by hand: kill a restore, a sealing node and a backup again and again, reopen, compare
	POLYGON_EDGE_CRASH_ROUNDS=$${POLYGON_EDGE_CRASH_ROUNDS:-200} \
		POLYGON_EDGE_NODE_CRASH_ROUNDS=$${POLYGON_EDGE_NODE_CRASH_ROUNDS:-50} $(BIN)/python -m pytest -s tests/crash

hostile-proof: setup ## by hand: hostile bytes to the doors of a sealing node, ten times as many as `make test` sends
	POLYGON_EDGE_HOSTILE_ROUNDS=$${POLYGON_EDGE_HOSTILE_ROUNDS:-10} $(BIN)/python -m pytest -s tests/hostile

fuzz-proof: setup    ## by hand: many more random cases than `make test` draws
	PROPTEST_CASES=100000 cargo test --workspace --locked
	POLYGON_EDGE_MUTATIONS=10000000 cargo test -p polygon-edge-chain --test mutations --locked -- --nocapture
	POLYGON_EDGE_MUTATIONS=1000000 POLYGON_EDGE_EXAMPLES=2000 POLYGON_EDGE_PROGRAMS=$${POLYGON_EDGE_PROGRAMS:-100000} \
		$(BIN)/python -m pytest -s \
		tests/archive/test_mutations.py tests/chain/test_mutations.py tests/consensus/test_mutations.py tests/oracle

forgery-proof: setup ## by hand: forged blocks of recorded chains of every kind, and why any was accepted
	POLYGON_EDGE_FORGERIES=$${POLYGON_EDGE_FORGERIES:-10000} $(BIN)/python -m pytest -s tests/oracle/test_forged_chains.py

interop: setup       ## by hand: against the Go clients that the environment names
	$(BIN)/python -m pytest -s -m interop
