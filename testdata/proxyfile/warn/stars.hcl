host "a.localhost" {
  upstream = 1

  route "/data/*" { upstream = 2 } # WARNING: route "/data/*" does not match "/data"
  route "/one/*" {
    upstream = 3
    exact    = true
  }
  route "/two/*" { upstream = 4 }
  route "/two" { upstream = 5 }
}

host "b.localhost" {
  route "/*" { upstream = 6 } # WARNING: route "/*" does not match "/"
}

host "c.localhost" {
  upstream = 7
  route "/*" { upstream = 8 }
}
