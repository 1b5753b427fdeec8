host "a.localhost" {
  upstream = 1
}
share {
  sealed       = true # ERROR: "sealed" is not built yet
  tcp          = [tcp.postgres] # ERROR: "tcp" is not built yet
  udp          = [udp.dns] # ERROR: "udp" is not built yet
  relay        = "ngrok" # ERROR: relay "ngrok" is not built yet
}
