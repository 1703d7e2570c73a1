"""An agent that breaks its word, for relay-hardening.test.ts: <socket path> <what it does wrong>."""
import os
import socket
import struct
import sys

path, mode = sys.argv[1:3]
held = []


def frame(kind, payload):
    return struct.pack("<IB", len(payload), kind) + payload


def listening(address="127.0.0.1"):
    s = socket.socket()
    s.bind((address, 0))
    s.listen(64)
    return s


def connected(port):
    s = socket.socket()
    s.connect(("127.0.0.1", port))
    return s


def opened(what):
    return os.open(what, os.O_RDONLY)


def wrong_descriptors(asked):
    """Descriptors that look nearly right, and the port that is claimed for them."""
    good = listening()
    port = good.getsockname()[1]
    held.append(good)
    if mode == "directory":
        return [opened("/")], asked or port
    if mode == "file":
        return [opened("/etc/hostname")], asked or port
    if mode == "device":
        return [opened("/dev/zero")], asked or port
    if mode == "unix":
        return [socket.socketpair()[0].detach()], asked or port
    if mode == "udp":
        s = socket.socket(type=socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        return [s.detach()], asked or port
    if mode == "unconnected":
        return [socket.socket().detach()], asked + 1
    if mode == "swapped":
        return [connected(port).detach() if asked == 0 else good.fileno()], asked or port
    if mode == "elsewhere":
        return [listening("0.0.0.0").detach() if asked == 0 else connected(port).detach()], asked or port
    if mode == "other-port":
        return [good.fileno()], port + 1
    if mode == "three":
        return [good.fileno()] * 3, port
    if mode == "none":
        return [], port
    return [good.fileno()], asked or port


def steal(listener):
    """Makes the shared socket block, and takes connections before the relay can."""
    while True:
        listener.setblocking(True)
        connection, _ = listener.accept()
        held.append(connection)


def answer(client, request, asked):
    if mode == "long":
        client.sendall(struct.pack("<IB", 0x7FFFFFFF, 0x98))
    elif mode == "type":
        client.sendall(frame(0x42, b"what is this"))
    elif mode == "noise":
        client.sendall(os.urandom(100_000))
    elif mode == "unknown":
        client.sendall(frame(0x8C, struct.pack("<II", 999, 111)))
    elif mode == "short":
        client.sendall(frame(0x98, b"\1"))
    elif mode == "extra":
        socket.send_fds(client, [frame(0x81, b"pong")], [0])
    elif mode == "errno":
        client.sendall(frame(0x8C, struct.pack("<II", request, 0xFFFFFFFF)))
    elif mode == "leave":
        client.close()
    else:
        fds, port = wrong_descriptors(asked)
        body = frame(0x98, struct.pack("<IBH", request, max(1, min(len(fds), 2)), port & 0xFFFF))
        if fds:
            socket.send_fds(client, [body], fds)
        else:
            client.sendall(body)
        if mode == "blocking":
            steal(held[-1])


def serve(client):
    hello = client.recv(68, socket.MSG_WAITALL)
    nonce = os.urandom(16) if mode == "nonce" else hello[48:64]
    if mode == "greeting":
        client.sendall(os.urandom(4096))
    else:
        client.sendall(b"\x9dSPACES-GUEST-A\n" + nonce + struct.pack("<HHIII", 1, 1, 1, 1, 262144))
    while True:
        request = client.recv(11, socket.MSG_WAITALL)
        if len(request) < 11:
            return
        answer(client, *struct.unpack("<IH", request[5:]))


server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
while True:
    one, _ = server.accept()
    try:
        serve(one)
    except OSError:
        one.close()
