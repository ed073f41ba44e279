"""Serves every form of the echo service with the reference implementation of gRPC: echo_server.py ADDRESS. Prints its port; ends with its input."""

import sys
import threading
from concurrent import futures

import grpc

from wire import decode, encode

cancelled = threading.Event()


def unary(request, context):
    text, count = decode(request)
    if text == "metadata":
        metadata = dict(context.invocation_metadata())
        context.send_initial_metadata((("first", "1"), ("first-bin", b"\x00\xff")))
        context.set_trailing_metadata((("last", "2"), ("last-bin", b"\x01\x02\x03")))
        return encode(metadata["word"] + " " + metadata["blob-bin"].hex())
    if text == "refuse":
        context.set_trailing_metadata((("grpc-status-details-bin", bytes.fromhex(sys.argv[2])),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100 % ünïcode\nin two lines")
    if text == "crash":
        raise ValueError("on purpose")
    if text == "hang":
        threading.Event().wait(3)
    if text == "was cancelled":
        return encode("", int(cancelled.wait(20)))
    if text == "remaining":
        return encode("", min(100, int(context.time_remaining())))
    return request


def server_stream(request, context):
    text, count = decode(request)
    if text == "hang":
        context.add_callback(cancelled.set)  # before the first message, at which the caller may leave
    for each in range(count):
        yield encode(text, each)
    if text == "hang":
        cancelled.wait(20)


def client_stream(requests, context):
    texts = [decode(each)[0] for each in requests]
    return encode("".join(texts), len(texts))


def duplex(requests, context):
    for each in requests:
        yield each


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler("tests.v1.Echo", {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "Duplex": grpc.stream_stream_rpc_method_handler(duplex),
    }),
))
print(server.add_insecure_port(sys.argv[1]), flush=True)
server.start()
sys.stdin.read()
server.stop(0)
