# Prints whether Python trusts the server's certificate, and the addresses of each name.
import socket, ssl, sys

port, names = int(sys.argv[1]), sys.argv[2:]
try:
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        with ssl.create_default_context().wrap_socket(plain, server_hostname="localhost"):
            print("trust yes", flush=True)
except ssl.SSLError:
    print("trust no", flush=True)
except OSError:
    print("trust unknown", flush=True)
for name in names:
    try:
        found = sorted({entry[4][0] for entry in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)})
    except OSError:
        found = []
    print("name", name, *found, flush=True)
