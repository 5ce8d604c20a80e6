import zlib
from pathlib import Path

import numpy as np
import pytest

from tledge.core.checksum import BLOCK, SIZE, Checksum, check_file, checksum_of, checksum_of_file, written_checksum
from tledge.core.errors import ArtifactError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7])
def test_a_file_and_the_same_bytes_have_the_same_checksum(tmp_path: Path, size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "file").write_bytes(content + b"more")
    blocks = [zlib.crc32(content[start : start + BLOCK]).to_bytes(4, "little") for start in range(0, size, BLOCK)]
    assert checksum_of(content) == Checksum(zlib.crc32(b"".join(blocks)), size)
    assert checksum_of_file(tmp_path / "file", size) == checksum_of(content)


def test_the_checksum_at_the_end_is_checked(tmp_path: Path) -> None:
    path, content = tmp_path / "file", b"model" * 1000
    path.write_bytes(content)
    assert not check_file(path)
    whole = content + bytes(checksum_of(content))
    assert len(whole) == len(content) + SIZE
    path.write_bytes(whole)
    assert check_file(path)
    assert written_checksum(path) == checksum_of(content)
    path.write_bytes(b"M" + whole[1:])
    with pytest.raises(ArtifactError, match=r"is damaged or was changed: expected the checksum \w{8}, received \w{8}"):
        check_file(path)
    path.write_bytes(whole[1:])
    with pytest.raises(ArtifactError, match=r"expected 5,037 bytes, received 5,036"):
        check_file(path)
