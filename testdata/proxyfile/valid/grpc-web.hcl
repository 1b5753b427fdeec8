# A gRPC server with HTTP/2 without TLS. Browsers use gRPC-Web through a
# translating proxy on the same paths, which the content type selects, and the
# component workshop on its own port may call it too. Streams may be silent for
# any time.
host "chat.localhost" {
  upstream = 5173
  timeout  = "1m"

  route "/chat.v1.Chat" {
    upstream = "h2c://127.0.0.1:50051"
    cors     = ["http://localhost:6006"]
    timeout  = "0s"
  }
  route "/chat.v1.Chat" {
    upstream = 8081
    match    = { headers = { Content-Type = "application/grpc-web*" } }
    cors     = ["http://localhost:6006"]
    timeout  = "0s"
  }
}
