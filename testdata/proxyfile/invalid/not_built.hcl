host "a.localhost" {
  upstream = 1
}
share {
  sealed       = true # ERROR: "sealed" is not built yet
  relay        = "ngrok" # ERROR: relay "ngrok" is not built yet
}
