"""tests.v1.EchoMessage by hand, so that no code generator is needed: text = 1 (string), count = 2 (int32 below 128)."""

SERVICE = "/tests.v1.Echo/"


def encode(text="", count=0):
    data = text.encode()
    assert len(data) < 128 and count < 128
    return (b"\x0a" + bytes([len(data)]) + data if data else b"") + (b"\x10" + bytes([count]) if count else b"")


def decode(data):
    text, count = "", 0
    while data:
        if data[0] == 0x0A:
            text, data = data[2 : 2 + data[1]].decode(), data[2 + data[1] :]
        else:
            assert data[0] == 0x10, data
            count, data = data[1], data[2:]
    return text, count
