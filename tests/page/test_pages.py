"""The page itself (lines 1 and 2 of its checklist): in Japanese, complete, and every command on it typed."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.node.running import RunningNode
from tests.program import COMMAND

from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.conftest import Grown

PAGE = (Path(__file__).parent.parent.parent / "docs" / "ja" / "backup-restore.md").read_text()
ANCHORS = [
    "overview",
    "base-folders",
    "create-backup-from-a-running-node-and-restore-for-new-node",
    "backup",
    "restore",
    "back-up-restore-whole-data",
    "step-1-stop-the-running-client",
    "step-2-backup-the-directory",
    "restore-1",
    "step-1-stop-the-running-client-1",
    "step-2-copy-the-backed-up-data-directory-to-the-desired-folder",
    "step-3-run-the-polygon-edge-client-while-specifying-the-correct-data-directory",
]
SECONDS = 60


class TypedServer(RunningNode):
    """A `server` command as it stands on the page, in the folder where it is typed; its doors have free ports."""

    def __init__(self, folder: Path, command: str, data_dir: str) -> None:
        self._folder = folder
        self._command = command
        log = folder / f"{data_dir}.log"
        super().__init__(folder / data_dir, folder / "genesis.json", log=log, wait=False)

    def words(self, flags: tuple[str, ...]) -> list[str]:
        words = shlex.split(self._command)
        assert words[:2] == ["polygon-edge", "server"]
        return [*COMMAND, *words[1:], *flags, "--grpc-address", "127.0.0.1:0", "--jsonrpc", "127.0.0.1:0"]

    @property
    def cwd(self) -> Path:
        return self._folder


def test_page_01_the_page_has_the_headings_of_the_founding_page_in_their_order() -> None:
    assert re.findall(r"^#+ \S.* \{#([a-z0-9-]+)\}$", PAGE, re.MULTILINE) == ANCHORS


def test_page_01_every_command_works_in_the_order_of_the_page(
    grown: Grown, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    commands = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    backup, secrets, restoring, stopping, *copying, starting = [line.removeprefix("$ ") for line in commands]
    here, media = tmp_path / "here", tmp_path / "media"
    here.mkdir()
    (media / "backup").mkdir(parents=True)

    def type_in(line: str) -> None:
        program = shlex.join(COMMAND)
        line = line.replace("polygon-edge ", f"{program} ").replace("/media/", f"{media}/")
        done = subprocess.run(
            ["bash", "-c", line], cwd=here, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, (line, done.stderr)

    grown.copy(here / "node-1")
    shutil.copy2(grown.chain.genesis, here / "genesis.json")
    with RunningNode(here / "node-1", here / "genesis.json", "--block-time", "1") as node:
        node.wait_for_height(grown.height + 1)
        # What stands in brackets can be left out, and this chain has no 0x100 blocks.
        backup = backup.replace("127.0.0.1:9632", node.grpc)
        type_in(re.sub(r" \[.*?\]", "", backup))
        type_in(re.sub(r"[\[\]]", "", backup).replace("backup.dat", "part.dat").replace("0x100", "0x2"))
        for name, first, last in (("backup.dat", 0, grown.height + 1), ("part.dat", 0, 2)):
            with FlatArchive.open(here / name) as archive:
                assert archive.first_height == first
                assert archive.metadata.height >= last
        (here / "backup.dat").rename(here / "archive.dat")
        type_in(secrets)
        key = (here / "test-chain" / "consensus" / "validator.key").read_text()
        with TypedServer(here, restoring, "test-chain") as restored:
            restored.wait_for_line("restored blocks 1 to")
            restored.wait_for_line("not sealing")
            check_same_chain(restored)
            assert restored.stop(signal.SIGINT) == 0
        assert (here / "test-chain" / "consensus" / "validator.key").read_text() == key
        assert stopping == "sudo systemctl stop polygon-edge"
        assert node.stop(signal.SIGINT) == 0
    said = re.findall(r"^```\n(\[INFO\] .*)\n```$", PAGE, re.MULTILINE)
    assert len(said) == 1
    assert node.messages.rstrip().endswith(said[0])
    last, last_hash = node.sealed[-1]
    for line in copying:
        type_in(line)
    assert {path.name for path in here.iterdir()} >= {"node-1", "node-1.before", "genesis.json"}
    with TypedServer(here, starting, "node-1") as copied:
        copied.wait_for_doors()
        copied.wait_for_height(last + 1)
        assert copied.block_hash(last) == last_hash
        assert "sealed: number=" in copied.messages
        assert copied.stop(signal.SIGINT) == 0


def test_page_02_the_page_names_every_folder_and_file_that_matters(grown: Grown) -> None:
    listed = re.findall(r"^\* \*\*(\w+)\*\* - ", PAGE, re.MULTILINE)
    found = {path.name for path in grown.chain.data_dir.iterdir()}
    assert found == set(listed)
    assert listed[:4] == ["blockchain", "trie", "keystore", "consensus"]
    for folder in ("consensus", "libp2p"):
        for path in (grown.chain.data_dir / folder).iterdir():
            assert f"`{path.name}`" in PAGE, path
    for name in ("restore-unfinished.json", "genesis"):
        assert f"`{name}`" in PAGE
