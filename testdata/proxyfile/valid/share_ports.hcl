# Servers that do not speak HTTP, for visitors too.
host "shop.localhost" { upstream = 5173 }

tcp "postgres" {
  upstream = 5432
  allow    = ["203.0.113.0/24", "2001:db8::7"]
}

tcp "redis" { upstream = 6379 }

udp "game" {
  upstream = 7777
  public   = true
}

share {
  tcp = [tcp.postgres]
  udp = [udp.game]
}
