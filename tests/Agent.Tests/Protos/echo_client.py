"""Calls every form of the echo service with the reference implementation of gRPC: echo_client.py TARGET. Prints what it found."""

import sys

import grpc

from wire import SERVICE, decode, encode

channel = grpc.insecure_channel(sys.argv[1])
unary = channel.unary_unary(SERVICE + "Unary")
server_stream = channel.unary_stream(SERVICE + "ServerStream")
client_stream = channel.stream_unary(SERVICE + "ClientStream")
duplex = channel.stream_stream(SERVICE + "Duplex")


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("did not fail")


print("unary", *decode(unary(encode("hello", 7), timeout=20)))
print("server stream", [decode(each)[1] for each in server_stream(encode("x", 5), timeout=20)])
print("client stream", *decode(client_stream(iter([encode("a"), encode("b"), encode("c")]), timeout=20)))
print("duplex", [decode(each)[1] for each in duplex(iter([encode("", each) for each in (1, 2, 3)]), timeout=20)])

answer, call = unary.with_call(encode("metadata"), timeout=20, metadata=(("word", "x"), ("blob-bin", b"\x00\xff\x01")))
print("metadata", decode(answer)[0])
print("headers", sorted(tuple(pair) for pair in call.initial_metadata() if pair[0].startswith("first")))
print("trailers", sorted(tuple(pair) for pair in call.trailing_metadata() if pair[0].startswith("last")))

error = failure(lambda: unary(encode("refuse"), timeout=20))
print("refused", error.code().name, error.details())
print("details", dict(error.trailing_metadata())["grpc-status-details-bin"].hex())
error = failure(lambda: unary(encode("crash"), timeout=20))
print("crashed", error.code().name, error.details())
error = failure(lambda: list(server_stream(encode("hang"), timeout=0.5)))
print("late", error.code().name)
error = failure(lambda: channel.unary_unary(SERVICE + "Nothing")(b"", timeout=20))
print("unknown", error.code().name)
error = failure(lambda: unary(b"\x1a\x84\x80\x80\x02" + bytes(4 * 1024 * 1024 + 4), timeout=20))
print("too long", error.code().name)

call = server_stream(encode("hang"), timeout=20)
decode(next(call))
call.cancel()
print("cancelled", failure(lambda: next(call)).code().name)
