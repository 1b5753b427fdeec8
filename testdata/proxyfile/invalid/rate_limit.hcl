host "a.localhost" {
  upstream   = 1
  rate_limit = 10 # ERROR: a rate must be a string
  route "/a" { rate_limit = "10" } # ERROR: "10" is not a valid rate
  route "/b" { rate_limit = "10r/s" } # ERROR: "10r/s" is not a valid rate
  route "/c" { rate_limit = "100 per minute" } # ERROR: "100 per minute" is not a valid rate
  route "/d" { rate_limit = "0/s" } # ERROR: the rate "0/s" is out of range
  route "/e" { rate_limit = "10000000/s" } # ERROR: the rate "10000000/s" is out of range
  route "/f" { rate_limit = { burst = 5 } } # ERROR: rate_limit has no rate
  route "/g" { rate_limit = { rate = "10/s", burst = 0 } } # ERROR: burst must be a whole number, not 0
  route "/h" { rate_limit = { rate = "10/s", by = "ip" } } # ERROR: unknown by "ip"
  route "/i" { rate_limit = { rate = "10/s", by = "usr" } } # ERROR: unknown by "usr"
  route "/j" { rate_limit = { rate = "10/s", brust = 5 } } # ERROR: unknown field "brust" in rate_limit
  route "/k" { rate_limit = true } # ERROR: a rate must be a string
  route "/l" { rate_limit = "10/d" } # ERROR: "10/d" is not a valid rate
}
