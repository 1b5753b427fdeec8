host "a.localhost" { upstream = 1 }

tcp "postgres" { upstream = 5432 }
tcp "closed" {
  upstream = 5433
  public   = false
}
tcp "office" {
  upstream = 5434
  allow    = ["203.0.113.0/24", "2001:db8::/32"]
}
tcp "both" {
  upstream = 5435
  allow    = ["203.0.113.0/24"]
  public   = true # ERROR: tcp "both" has allow, and public allows all addresses
}
tcp "nobody" {
  upstream = 5436
  allow    = [] # ERROR: allow needs at least one address
}
tcp "wrong" {
  upstream = 5437
  allow    = ["example.com"] # ERROR: "example.com" is not a valid CIDR range
}
tcp "word" {
  upstream = 5438
  allow    = "203.0.113.7" # ERROR: allow must be a list of CIDR ranges
}
tcp "words" {
  upstream = 5439
  public   = ["/"] # ERROR: public must be true or false
}
udp "game" {
  upstream = 7777
  public   = true
}

share {
  tcp = [
    tcp.postgres,  # ERROR: tcp.postgres does not say who may connect
    tcp.closed,    # ERROR: tcp.closed does not say who may connect
    tcp.office,
    tcp.office,    # ERROR: duplicate "tcp.office"
    tcp.wrong,
    udp.game,      # ERROR: udp.game is not a tcp block
    "tcp.office",  # ERROR: an element of tcp must be a tcp block
    5432,          # ERROR: an element of tcp must be a tcp block
    tcp.redis,     # ERROR: unknown tcp "redis"
    tcp.both.port, # ERROR: an element of tcp must be a tcp block
  ]
  udp = udp.game # ERROR: udp must be a list of udp blocks
}
