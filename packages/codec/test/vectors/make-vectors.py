"""Writes the golden vectors beside this file.

Written from docs/format.md, by hand and with the Python standard library only. It shares no code with the packages, so
that a mistake in the encoder cannot hide in the bytes that are expected of it. Run it again only when the format changes:

    python3 make-vectors.py
"""

import hashlib
import hmac
import json
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).parent
SATURATED = 2**32 - 1

# Record flags
BATCH_CONTINUES, COMPRESSED, ENCRYPTED, SCOPED, MARK = 1, 2, 4, 8, 16
# Segment header flags
SEGMENT_ENCRYPTED, SEGMENT_SALVAGED = 1, 2

ID_A = bytes(range(0x10, 0x20))
ID_B = bytes.fromhex("00ff11ee22dd33cc44bb55aa66997788")
LOG_ID = bytes.fromhex("6c6f672d69642d6f662d766563746f72")
ZERO_ID = bytes(16)
CREATED_AT_MS = 1_700_000_000_123


def crc32c(data, crc=0):
    """Castagnoli, reflected, one bit at a time; pass an earlier result to go on."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(salt, data):
    return struct.pack("<II", len(data), crc32c(salt + data)) + data


def record(lsn, type=0, lag=1, time_ms=0, flags=0, codec=0, scope=None, meta=b"", payload=b""):
    scope_bytes = b""
    if scope is not None:
        flags |= SCOPED
        scope_bytes = struct.pack("<QQII", scope["tenant"], scope["database"], scope["shard"], 0)
    header = struct.pack("<QIIHBBI", lsn, type, lag, len(meta), flags, codec, time_ms)
    assert len(header) == 24
    return header + scope_bytes + meta + payload


def mark(lsn, type, time_ms=0):
    data = record(lsn, type=type, lag=1, time_ms=time_ms, flags=MARK)
    assert len(data) == 24
    return data


def segment_header(
    block_size,
    first_lsn,
    number,
    log_id,
    segment_id,
    created_at_ms,
    flags=0,
    key_id=0,
    encrypted_from=0,
    core=0,
    first_position=0,
    previous_number=0,
    previous_id=ZERO_ID,
):
    """`core` is the value of the field at 72: the core id + 1, or 0 outside a per-core log."""
    head = b"WALSTACK"
    head += struct.pack("<HBBI", 1, block_size.bit_length() - 1, flags, key_id)
    head += struct.pack("<QQ", first_lsn, number) + log_id + segment_id
    head += struct.pack("<QII", created_at_ms, core, 0)
    head += struct.pack("<QQ", first_position, previous_number) + previous_id
    head += struct.pack("<QI", encrypted_from, 0)
    assert len(head) == 124
    head += struct.pack("<I", crc32c(head))
    return head + bytes(block_size - len(head))


def scope_text(scope):
    """For JSON: 64-bit numbers as text, which every reader of JSON leaves as they are."""
    return scope and {"tenant": str(scope["tenant"]), "database": str(scope["database"]), "shard": scope["shard"]}


def pattern(length, seed):
    """Payload bytes that are never zero and differ from record to record."""
    return bytes((seed * 31 + index * 7) % 255 + 1 for index in range(length))


def runs(data):
    """The bytes as a list: text is hex, a number is that many zero bytes. Keeps the padding out of the files."""
    parts, start, at = [], 0, 0
    while at < len(data):
        end = at
        while end < len(data) and data[end] == 0:
            end += 1
        if end - at >= 32:
            if at > start:
                parts.append(data[start:at].hex())
            parts.append(end - at)
            start = end
        at = max(end, at + 1)
    if start < len(data):
        parts.append(data[start:].hex())
    return parts


def laid_out(value, indent=0, before=0):
    """JSON as the project's formatter leaves it: on one line where that fits into 120 columns, else an item a line."""
    line = one_line(value)
    if before + len(line) < 120 or not isinstance(value, (dict, list)):
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        keys = [json.dumps(key, ensure_ascii=False) + ": " for key in value]
        items = [inner + key + laid_out(item, indent + 2, indent + 2 + len(key)) for key, item in zip(keys, value.values())]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    items = [inner + laid_out(item, indent + 2, indent + 2) for item in value]
    return "[\n" + ",\n".join(items) + "\n" + " " * indent + "]"


def one_line(value):
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(f"{one_line(key)}: {one_line(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(one_line(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def write(name, about, vectors):
    (HERE / name).write_text(laid_out({"about": about, "vectors": vectors}) + "\n")
    print(name, len(vectors))


# ---------------------------------------------------------------- CRC32C


def make_crc32c():
    read_pdu = bytes.fromhex(
        "01c00000" "00000000" "00000000" "00000000" "14000000" "00000400"
        "00000014" "00000018" "28000000" "00000000" "02000000" "00000000"
    )
    known = [  # RFC 3720, appendix B.4, where the bytes of the sum are given in little-endian order
        ("RFC 3720: 32 bytes of zeros", bytes(32), 0x8A9136AA),
        ("RFC 3720: 32 bytes of ones", b"\xff" * 32, 0x62A8AB43),
        ("RFC 3720: 32 bytes incrementing", bytes(range(32)), 0x46DD794E),
        ("RFC 3720: 32 bytes decrementing", bytes(range(31, -1, -1)), 0x113FDB5C),
        ("RFC 3720: an iSCSI SCSI Read (10) command PDU", read_pdu, 0xD9963A56),
        ("the check value 123456789", b"123456789", 0xE3069283),
    ]
    for name, data, expected in known:
        assert crc32c(data) == expected, name
    more = [("empty", b""), ("one zero byte", b"\0"), ("one byte ff", b"\xff"), ("letter a", b"a")]
    more += [(f"{n} bytes of a pattern", pattern(n, n)) for n in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 255, 1000)]
    vectors = [{"name": n, "bytes": d.hex(), "crc": f"{c:08x}"} for n, d, c in known]
    vectors += [{"name": n, "bytes": d.hex(), "crc": f"{crc32c(d):08x}"} for n, d in more]
    write("crc32c.json", "CRC32C of some bytes, the sum as a number in hexadecimal.", vectors)


# ---------------------------------------------------------------- frames


def make_frames():
    vectors = []
    contents = [
        ("one byte", b"x"),
        ("one zero byte", b"\0"),
        ("text", b"hello, log"),
        ("24 zero bytes", bytes(24)),
        ("300 bytes", pattern(300, 3)),
        ("data that looks like a frame", frame(ZERO_ID, b"inner")),
    ]
    for name, data in contents:
        for salt_name, salt in (("no salt", b""), ("salt A", ID_A), ("salt B", ID_B), ("16 zero bytes as salt", ZERO_ID)):
            vectors.append(
                {
                    "name": f"{name}, {salt_name}",
                    "salt": salt.hex(),
                    "saltCrc": f"{crc32c(salt):08x}",
                    "data": data.hex(),
                    "frame": frame(salt, data).hex(),
                }
            )
    write("frames.json", "Frames: a salt (a segment id, or nothing), the data, and the bytes of the frame.", vectors)


# ---------------------------------------------------------------- records and marks


def make_records():
    big_scope = {"tenant": 2**64 - 1, "database": 2**63 + 7, "shard": 2**32 - 1}
    small_scope = {"tenant": 7, "database": 42, "shard": 3}
    zero_scope = {"tenant": 0, "database": 0, "shard": 0}
    # `elapsed_ms` and `durable_lsn` are what is known when a record is encoded; the fields they give are worked out by hand.
    cases = [
        ("plain", dict(lsn=1, type=1, payload=b"hello")),
        ("empty payload", dict(lsn=2, type=5)),
        ("one byte of payload", dict(lsn=3, payload=b"\0")),
        ("with meta", dict(lsn=4, type=9, meta=b"key", payload=b"value")),
        ("meta, empty payload", dict(lsn=5, meta=b"only meta")),
        ("meta of 65535 bytes", dict(lsn=6, meta=b"m" + bytes(65533) + b"m", payload=b"tail")),
        ("scoped", dict(lsn=7, type=2, scope=small_scope, payload=b"scoped payload")),
        ("scoped with zero ids", dict(lsn=8, scope=zero_scope, payload=b"z")),
        ("scoped, meta, largest ids", dict(lsn=9, scope=big_scope, meta=b"m", payload=b"p")),
        ("scoped, empty payload", dict(lsn=10, scope=small_scope)),
        ("batch continues", dict(lsn=11, flags=BATCH_CONTINUES, payload=b"first of a batch")),
        ("batch continues, scoped, meta", dict(lsn=12, lag=2, flags=BATCH_CONTINUES, scope=small_scope, meta=b"mm", payload=b"pp")),
        ("largest type", dict(lsn=13, type=2**32 - 1, payload=b"t")),
        ("lag 1000", dict(lsn=5000, lag=1000, payload=b"l")),
        ("lag one below the largest", dict(lsn=2**32 + 5, lag=SATURATED - 1, payload=b"l")),
        ("lag saturated by one", dict(lsn=2**32 + 5, lag=SATURATED, payload=b"l"), dict(durable_lsn=5)),
        ("lag saturated by far", dict(lsn=2**53 - 1, lag=SATURATED, payload=b"l"), dict(durable_lsn=0)),
        ("lag that is exactly the value that proves nothing", dict(lsn=2**32, lag=SATURATED, payload=b"l"), dict(durable_lsn=1)),
        ("time 123456 ms", dict(lsn=14, time_ms=123456, payload=b"t")),
        ("largest time", dict(lsn=15, time_ms=SATURATED, payload=b"t")),
        ("time saturated", dict(lsn=16, time_ms=SATURATED, payload=b"t"), dict(elapsed_ms=2**40)),
        ("LSN 2^32 - 1", dict(lsn=2**32 - 1, payload=b"n")),
        ("LSN 2^32", dict(lsn=2**32, payload=b"n")),
        ("LSN 2^32 + 1", dict(lsn=2**32 + 1, payload=b"n")),
        ("LSN 2^48 + 3", dict(lsn=2**48 + 3, payload=b"n")),
        ("LSN 2^53 - 1", dict(lsn=2**53 - 1, payload=b"n")),
        ("everything at once", dict(lsn=2**53 - 2, type=0xDEADBEEF, lag=77, time_ms=3_000_000_000, flags=BATCH_CONTINUES, scope=big_scope, meta=pattern(300, 1), payload=pattern(700, 2))),
    ]  # fmt: skip
    vectors = []
    for name, fields, *known in cases:
        known = known[0] if known else {}
        data = record(**fields)
        flags = fields.get("flags", 0) | (SCOPED if "scope" in fields else 0)
        vectors.append(
            {
                "name": name,
                "lsn": fields["lsn"],
                "type": fields.get("type", 0),
                "durableLsn": known.get("durable_lsn", fields["lsn"] - fields.get("lag", 1)),
                "lag": fields.get("lag", 1),
                "elapsedMs": known.get("elapsed_ms", fields.get("time_ms", 0)),
                "timeMs": fields.get("time_ms", 0),
                "flags": flags,
                "scope": scope_text(fields.get("scope")),
                "meta": runs(fields.get("meta", b"")),
                "payload": runs(fields.get("payload", b"")),
                "segmentId": ID_A.hex(),
                "frame": runs(frame(ID_A, data)),
            }
        )
    write("records.json", "Records as whole frames, their checksum seeded with the segment id; in a list, a number is that many zero bytes.", vectors)


def make_marks():
    vectors = []
    for type, why in ((0, "idle"), (1, "closed"), (2, "recovered")):
        for lsn, time_ms in ((1, 0), (43, 51), (2**32 + 9, SATURATED), (2**53 - 1, 7)):
            vectors.append(
                {
                    "name": f"{why}, next LSN {lsn}",
                    "lsn": lsn,
                    "type": type,
                    "timeMs": time_ms,
                    "segmentId": ID_B.hex(),
                    "frame": frame(ID_B, mark(lsn, type, time_ms)).hex(),
                }
            )
    write("marks.json", "Marks as whole frames: the next LSN to be given out, and why the mark was written.", vectors)


# ---------------------------------------------------------------- segment headers and file names


def header_vector(name, **fields):
    encoded = segment_header(**fields)
    return {
        "name": name,
        "blockSize": fields["block_size"],
        "firstLsn": fields["first_lsn"],
        "segmentNumber": fields["number"],
        "logId": fields["log_id"].hex(),
        "segmentId": fields["segment_id"].hex(),
        "createdAtMs": fields["created_at_ms"],
        "encrypted": bool(fields.get("flags", 0) & SEGMENT_ENCRYPTED),
        "salvaged": bool(fields.get("flags", 0) & SEGMENT_SALVAGED),
        "keyId": fields.get("key_id", 0),
        "encryptedFrom": fields.get("encrypted_from", 0),
        "coreId": fields["core"] - 1 if fields.get("core", 0) else None,
        "firstPosition": fields.get("first_position", 0),
        "previousNumber": fields.get("previous_number", 0),
        "previousId": fields.get("previous_id", ZERO_ID).hex(),
        "bytes": runs(encoded),
    }


def make_headers():
    first = dict(block_size=4096, first_lsn=1, number=1, log_id=LOG_ID, segment_id=ID_A, created_at_ms=CREATED_AT_MS)
    second = {**first, "number": 2, "first_lsn": 1001, "segment_id": ID_B, "first_position": 8192, "previous_number": 1, "previous_id": ID_A}  # fmt: skip
    vectors = [header_vector("the first of a log", **first), header_vector("with a predecessor", **second)]
    vectors += [header_vector(f"block size {2**n}", **{**second, "block_size": 2**n}) for n in range(9, 17)]
    vectors += [
        header_vector("made by salvage", **{**second, "flags": SEGMENT_SALVAGED}),
        header_vector("encrypted", **{**second, "flags": SEGMENT_ENCRYPTED, "key_id": 7, "encrypted_from": 1}),
        header_vector("encrypted, largest key id, salvaged", **{**second, "flags": 3, "key_id": 2**32 - 1, "encrypted_from": 1}),
        header_vector("encrypted from here on", **{**second, "flags": SEGMENT_ENCRYPTED, "key_id": 7, "encrypted_from": 1001}),
        header_vector("encrypted from an LSN beyond 2^32 on", **{**second, "flags": SEGMENT_ENCRYPTED, "key_id": 7, "first_lsn": 2**53 - 1, "encrypted_from": 2**32 + 5}),
        header_vector("core 0", **{**second, "core": 1}),
        header_vector("core 63", **{**second, "core": 64}),
        header_vector("first LSN beyond 2^32", **{**second, "first_lsn": 2**32 + 1, "number": 70000}),
        header_vector("number far ahead of the predecessor's", **{**second, "number": 2**32 + 3, "previous_number": 2**32 - 1}),
        header_vector("the largest safe LSN and position", **{**second, "first_lsn": 2**53 - 1, "first_position": 2**53 - 4096}),
        header_vector("the log begins here, at LSN 500", **{**first, "first_lsn": 500, "number": 9, "first_position": 40960}),
        header_vector("created at the epoch", **{**first, "created_at_ms": 0}),
    ]  # fmt: skip
    write("segment-headers.json", "Segment headers, a whole block each; in a list, text is hex and a number is that many zero bytes.", vectors)


def make_names():
    cases = [(1, 1), (2, 1001), (10, 2**32), (9_999_999_999, 2**53 - 1), (1234567890, 12345678901234)]
    vectors = [{"segmentNumber": n, "firstLsn": lsn, "name": "wal-" + str(n).rjust(10, "0") + "-" + str(lsn).rjust(20, "0") + ".seg"} for n, lsn in cases]  # fmt: skip
    not_names = [
        "wal-0000000000-00000000000000000001.seg",
        "wal-0000000001-00000000000000000000.seg",
        "wal-1-1.seg",
        "wal-0000000001-00000000000000000001.seg.tmp",
        "wal-0000000001-00000000000000000001",
        " wal-0000000001-00000000000000000001.seg",
        "WAL-0000000001-00000000000000000001.seg",
        "wal-0000000001-0000000000000000001.seg",
        "wal-000000001-00000000000000000001.seg",
        "wal-00000000010-00000000000000000001.seg",
        "wal-000000000x-00000000000000000001.seg",
        "wal-0000000001_00000000000000000001.seg",
        "wal-0000000001-0000000000000000000a.seg",
        "wal-0000000001-00000000000000000001.seg\n",
        "free-1.seg",
        "next.seg",
        "checkpoint",
        "LOCK",
        "",
    ]
    vectors += [{"segmentNumber": None, "firstLsn": None, "name": name} for name in not_names]
    write("file-names.json", "Names of segment files; null where the name is none.", vectors)


# ---------------------------------------------------------------- checkpoint


def make_checkpoints():
    cases = [
        ("a new log", 1, 0, {}),
        ("after a truncation", 17, 123456, {}),
        ("with holds", 3, 99, {"backup": 50, "replica-2": 98}),
        ("large numbers", 2**32 + 1, 2**53 - 1, {}),
        ("a hold's name in other letters", 1, 5, {"größe ☃": 4}),
    ]
    vectors = []
    for name, first_segment, checkpoint_lsn, holds in cases:
        content = {
            "logId": LOG_ID.hex(),
            "firstSegment": first_segment,
            "checkpointLsn": checkpoint_lsn,
            "holds": holds,
        }
        data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        vectors.append({"name": name, **content, "json": data.decode(), "file": frame(ZERO_ID, data).hex()})
    write("checkpoints.json", "The checkpoint file: one frame, its checksum seeded with 16 zero bytes.", vectors)


# ---------------------------------------------------------------- whole segments


class Segment:
    """Lays frames out as a writer does: never starting in the last 7 bytes of a block."""

    def __init__(self, name, block_size, first_lsn=1, **header):
        fields = dict(
            block_size=block_size, first_lsn=first_lsn, number=1, log_id=LOG_ID, segment_id=ID_A, created_at_ms=CREATED_AT_MS
        )
        fields.update(header)
        self.vector = header_vector(name, **fields)
        self.block_size, self.id, self.lsn = block_size, fields["segment_id"], first_lsn
        self.bytes = bytearray(segment_header(**fields))
        self.frames, self.count = [], 0

    def room(self):
        """Bytes from here to the end of the block; a whole block at its beginning."""
        return self.block_size - len(self.bytes) % self.block_size

    def pad(self):
        """The group ends: zeros to the end of its block."""
        if len(self.bytes) % self.block_size:
            self.bytes += bytes(self.room())
        return self

    def put(self, data, entry):
        if self.room() <= 7:
            self.bytes += bytes(self.room())
        entry["at"] = len(self.bytes)
        self.bytes += frame(self.id, data)
        entry["end"] = len(self.bytes)
        self.frames.append(entry)

    def record(self, payload=b"", type=1, lag=1, time_ms=0, flags=0, scope=None, meta=b""):
        entry = {
            "kind": "record",
            "lsn": self.lsn,
            "type": type,
            "lag": lag,
            "timeMs": time_ms,
            "flags": flags | (SCOPED if scope is not None else 0),
            "scope": scope_text(scope),
            "meta": runs(meta),
            "payload": runs(payload),
        }
        self.put(record(self.lsn, type, lag, time_ms, flags, 0, scope, meta, payload), entry)
        self.lsn += 1
        return self

    def mark(self, type, time_ms=0):
        self.put(mark(self.lsn, type, time_ms), {"kind": "mark", "lsn": self.lsn, "type": type, "timeMs": time_ms})
        return self

    def end_at_distance(self, distance, seed):
        """A record that ends `distance` bytes before the end of a block (after it, when negative)."""
        if self.room() <= 7:
            self.pad()
        length = self.room() - distance - 32
        while length < 0:
            length += self.block_size
        return self.record(bytes(length) if seed is None else pattern(length, seed))

    def done(self):
        """Cut to the last block used."""
        self.pad()
        vector = self.vector
        del vector["bytes"]
        return {**vector, "nextLsn": self.lsn, "frames": self.frames, "bytes": runs(bytes(self.bytes))}


def make_segments():
    example = Segment("the example of docs/format.md", 512)
    example.record(b"hello", type=1).record(b"value", type=2, lag=2, time_ms=5, meta=b"key").mark(1, time_ms=9)
    vectors = [example.done(), Segment("empty", 512).done()]
    for block_size in (512, 1024, 2048, 4096, 16384, 65536):
        packed = Segment(f"frames one behind the other, block size {block_size}", block_size)
        padded = Segment(f"every group padded, block size {block_size}", block_size)
        for index in range(6):
            packed.record(pattern(40 + 13 * index, index), lag=index + 1, time_ms=index)
            padded.record(pattern(17 + 5 * index, index), time_ms=10 * index)
            if index % 2:
                padded.pad()
        packed.mark(1, time_ms=77)
        padded.mark(1, time_ms=77)
        vectors += [packed.done(), padded.done()]

    # One frame ends at every distance around the end of a block, a small one follows. With 1 to 7 bytes left it moves on.
    for block_size in (512, 1024):
        edges = Segment(f"frames that end around the end of a block, block size {block_size}", block_size)
        for distance in range(12, -13, -1):
            edges.end_at_distance(distance, distance + 100).record(pattern(3, 50 + distance), type=2)
        vectors.append(edges.done())
        mark_edges = Segment(f"marks around the end of a block, block size {block_size}", block_size)
        for distance in range(33, -1, -1):
            mark_edges.end_at_distance(distance, None).mark(0)
        vectors.append(mark_edges.done())

    large = Segment("a record over several blocks, then a mark, then a padded group", 512)
    large.record(b"small").record(pattern(1700, 9)).mark(0).pad().record(b"after").pad().mark(1)
    vectors.append(large.done())

    mixed = Segment("batches, scopes, meta and marks", 512, first_lsn=2**32 - 1, number=5, segment_id=ID_B, first_position=70144, previous_number=4, previous_id=ID_A)  # fmt: skip
    scope = {"tenant": 2**64 - 1, "database": 2, "shard": 3}
    mixed.record(b"one", flags=BATCH_CONTINUES).record(b"two", flags=BATCH_CONTINUES, lag=2).record(b"three", lag=3)
    mixed.mark(0, time_ms=50).pad().record(b"", scope=scope).record(b"x", meta=b"y", scope=scope, lag=2).record(b"", meta=b"z", lag=3)
    mixed.mark(2, time_ms=SATURATED).pad().record(b"\0" * 64, type=0).mark(1)
    vectors.append(mixed.done())
    write("segments.json", "Whole segment files; in a list, text is hex and a number is that many zero bytes. `at` and `end` are offsets in the file.", vectors)


# ---------------------------------------------------------------- encryption


def times_x(byte):
    """A polynomial over GF(2^8) times x, modulo that of AES."""
    return ((byte << 1) ^ (0x11B if byte & 0x80 else 0)) & 0xFF


def make_sbox():
    """FIPS 197, 5.1.1: the inverse in GF(2^8), then the affine map."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= times_x(value)  # times x + 1, which generates the field
    sbox = [0x63] * 256
    for index, byte in enumerate(powers):
        inverse = powers[-index % 255]
        sbox[byte] = 0x63
        for shift in range(5):
            sbox[byte] ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xFF
    return sbox


SBOX = make_sbox()


def aes256_key_schedule(key):
    words, constant = [key[at : at + 4] for at in range(0, 32, 4)], 1
    for index in range(8, 60):
        word = words[-1]
        if index % 8 == 0:
            word = bytes(SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = times_x(constant)
        elif index % 8 == 4:
            word = bytes(SBOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[index - 8], word)))
    return [b"".join(words[at : at + 4]) for at in range(0, 60, 4)]


def aes256_block(round_keys, block):
    state = bytes(a ^ b for a, b in zip(block, round_keys[0]))
    for number in range(1, 15):
        state = bytes(SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))  # SubBytes, ShiftRows
        if number < 14:
            mixed = bytearray()
            for at in range(0, 16, 4):
                column = state[at : at + 4]
                for row in range(4):
                    a, b, c, d = (column[(row + step) % 4] for step in range(4))
                    mixed.append(times_x(a) ^ times_x(b) ^ b ^ c ^ d)
            state = bytes(mixed)
        state = bytes(a ^ b for a, b in zip(state, round_keys[number]))
    return state


def ghash(subkey, data):
    """SP 800-38D, 6.4, over whole blocks."""
    h, y = int.from_bytes(subkey, "big"), 0
    for at in range(0, len(data), 16):
        x, v, y = y ^ int.from_bytes(data[at : at + 16], "big"), h, 0
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                y ^= v
            v = (v >> 1) ^ ((0xE1 << 120) if v & 1 else 0)
    return y.to_bytes(16, "big")


def aes256_gcm(key, nonce, plaintext, additional):
    """SP 800-38D, 7.1, with a nonce of 12 bytes: the ciphertext and the tag behind it."""
    round_keys = aes256_key_schedule(key)
    keystream = b"".join(
        aes256_block(round_keys, nonce + struct.pack(">I", 2 + index)) for index in range((len(plaintext) + 15) // 16)
    )
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, keystream))
    padded = b"".join(part + bytes(-len(part) % 16) for part in (additional, ciphertext))
    lengths = struct.pack(">QQ", 8 * len(additional), 8 * len(ciphertext))
    tag = ghash(aes256_block(round_keys, bytes(16)), padded + lengths)
    return ciphertext + bytes(a ^ b for a, b in zip(tag, aes256_block(round_keys, nonce + struct.pack(">I", 1))))


def hkdf_sha256(key, salt, info):
    """RFC 5869, for 32 bytes: one step of expanding."""
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def check_ciphers():
    # FIPS 197, C.3
    block = aes256_block(aes256_key_schedule(bytes(range(32))), bytes.fromhex("00112233445566778899aabbccddeeff"))
    assert block.hex() == "8ea2b7ca516745bfeafc49904b496089"
    # The GCM specification of McGrew and Viega, test cases 13, 14 and 16
    assert aes256_gcm(bytes(32), bytes(12), b"", b"").hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    zeros = aes256_gcm(bytes(32), bytes(12), bytes(16), b"")
    assert zeros.hex() == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    text = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    more = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    assert aes256_gcm(key, bytes.fromhex("cafebabefacedbaddecaf888"), text, more)[-16:].hex() == "76fc6ece0f4e1768cddf8853bb2d551b"
    # RFC 5869, A.1, the first 32 of its 42 bytes
    made = hkdf_sha256(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    assert made.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def encrypted(segment_key, lsn, meta=b"", payload=b"", scope=None, **fields):
    """The data of the frame of an encrypted record, and what went into it."""
    fields["flags"] = fields.get("flags", 0) | ENCRYPTED
    additional = record(lsn, scope=scope, **fields)
    header = additional[:16] + struct.pack("<H", len(meta)) + additional[18:]
    nonce = bytes(4) + struct.pack(">Q", lsn)
    return header + aes256_gcm(segment_key, nonce, meta + payload, header), nonce, header


def make_encryption():
    check_ciphers()
    master = bytes(range(0x80, 0xA0))
    first = dict(block_size=512, first_lsn=1, number=1, log_id=LOG_ID, segment_id=ID_A, created_at_ms=CREATED_AT_MS, flags=SEGMENT_ENCRYPTED, key_id=1, encrypted_from=1)  # fmt: skip
    later = dict(block_size=4096, first_lsn=2**32 - 1, number=2**32 + 3, log_id=LOG_ID, segment_id=ID_B, created_at_ms=CREATED_AT_MS, flags=SEGMENT_ENCRYPTED | SEGMENT_SALVAGED, key_id=2**32 - 1, encrypted_from=2**32 - 7, core=64, first_position=70144, previous_number=4, previous_id=ID_A)  # fmt: skip
    scope = {"tenant": 2**64 - 1, "database": 2, "shard": 3}
    text = b"to be or not to be, that is the question: " * 20
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = deflater.compress(text) + deflater.flush()
    assert zlib.decompress(deflated, -15) == text
    cases = [
        ("the example of docs/format.md", master, first, dict(lsn=1, type=1, payload=b"hello")),
        ("with meta", master, first, dict(lsn=2, lag=2, time_ms=5, meta=b"key", payload=b"value")),
        ("with nothing in it", master, first, dict(lsn=3)),
        ("of one block of the cipher", master, first, dict(lsn=4, payload=pattern(16, 4))),
        ("scoped, of a batch", master, first, dict(lsn=5, flags=BATCH_CONTINUES, scope=scope, meta=b"m", payload=pattern(100, 5))),
        ("another master key", bytes(32), first, dict(lsn=1, type=1, payload=b"hello")),
        ("another segment id", master, {**first, "segment_id": ID_B}, dict(lsn=1, type=1, payload=b"hello")),
        ("another header", master, {**first, "number": 2}, dict(lsn=1, type=1, payload=b"hello")),
        ("every field of the header, a large LSN", master, later, dict(lsn=2**53 - 2, payload=b"n")),
        ("LSN 2^32", master, later, dict(lsn=2**32, type=2**32 - 1, lag=SATURATED, payload=b"n")),
        ("compressed before", master, first, dict(lsn=6, flags=COMPRESSED, codec=1, meta=b"not compressed", payload=deflated)),
    ]  # fmt: skip
    vectors = []
    for name, master_key, header, fields in cases:
        head = segment_header(**header)
        segment_key = hkdf_sha256(master_key, header["segment_id"], b"walstack segment v1" + head[:124])
        data, nonce, additional = encrypted(segment_key, **fields)
        compressed = fields.get("codec", 0) == 1
        vectors.append(
            {
                "name": name,
                "masterKey": master_key.hex(),
                "header": head[:128].hex(),
                "segmentKey": segment_key.hex(),
                "lsn": fields["lsn"],
                "nonce": nonce.hex(),
                "additionalData": additional.hex(),
                "scope": scope_text(fields.get("scope")),
                "meta": fields.get("meta", b"").hex(),
                "stored": fields.get("payload", b"").hex(),
                "payload": (text if compressed else fields.get("payload", b"")).hex(),
                "frame": frame(header["segment_id"], data).hex(),
            }
        )
    write("encryption.json", "Encrypted records: master key, segment header, what is derived from them, and the whole frame. `stored` is the payload as it was encrypted, `payload` what it is decompressed.", vectors)


if __name__ == "__main__":
    make_crc32c()
    make_frames()
    make_records()
    make_marks()
    make_headers()
    make_names()
    make_checkpoints()
    make_segments()
    make_encryption()
