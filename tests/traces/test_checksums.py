from __future__ import annotations

import numpy as np

from dashapp.traces.checksums import crc_of_array, crc_of_strings


def test_the_checksum_of_an_array_is_the_published_crc_of_its_bytes() -> None:
    assert crc_of_array(np.frombuffer(b"123456789", dtype=np.uint8)) == 0xCBF43926  # CRC-32's check value
    assert crc_of_array(np.frombuffer(b"123456789", dtype="S3")) == 0xCBF43926


def test_the_checksum_is_of_the_bytes_in_c_order() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert crc_of_array(array) == crc_of_array(array.ravel()) == crc_of_array(np.asfortranarray(array))
    assert crc_of_array(array.T) != crc_of_array(array)
    assert crc_of_array(np.empty(0, dtype=np.float32)) == 0


def test_the_checksum_of_strings_depends_on_every_name_and_value_and_not_on_their_order() -> None:
    one = {"a": "1", "b": "2"}
    assert crc_of_strings(one) == crc_of_strings(dict(reversed(one.items())))
    others = [{"a": "1"}, {"a": "2", "b": "1"}, {"a": "1", "b": "3"}, {"a": "1", "c": "2"}, {"a": "1b", "b": "2"}]
    assert len({crc_of_strings(each) for each in [one, *others]}) == 6
