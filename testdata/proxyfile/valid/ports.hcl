# Servers that do not speak HTTP, at ports that stay the same.
host "shop.localhost" { upstream = service.web }

service "web" {
  command = "pnpm dev"
  env = {
    DATABASE_URL = "postgres://shop@127.0.0.1:${tcp.postgres.port}/shop"
    REDIS        = tcp.redis.address
  }
}

service "redis" { container = "redis" }

tcp "postgres" {
  listen   = 15432
  upstream = 5432
}

tcp "redis" { upstream = service.redis }

tcp "remote" {
  listen   = "[::1]:15433"
  upstream = "db.staging.example.com:5432"
}

udp "dns" {
  listen   = 15353
  upstream = "localhost:5353"
}
