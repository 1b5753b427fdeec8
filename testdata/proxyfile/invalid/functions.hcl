host "a.localhost" {
  upstream = 1
  response_headers = {
    A = uper("a") # ERROR: unknown function "uper"
    B = file("x") # ERROR: unknown function "file"
  }
}
host "b.localhost" {
  upstream = 1
  response_headers = { A = upper(1, 2) } # ERROR: too many function arguments
}
host "c.localhost" {
  upstream = 1
  response_headers = { A = env("NOT_SET") } # ERROR: the environment variable "NOT_SET" is not set
}
host "d.localhost" {
  upstream = 1
  response_headers = { A = url("x.localhost") } # ERROR: unknown host "x.localhost"
}
host "e.localhost" {
  upstream = 1
  response_headers = { A = format("%9999d", 1) } # ERROR: widths above 999 are not allowed
}
host "f.localhost" {
  upstream = 1
  response_headers = { A = jsondecode("{") } # ERROR: the text ends too early
}
host "g.localhost" {
  upstream = 1
  response_headers = { A = 1 / 0 } # ERROR: this number is too large
}
host "h.localhost" {
  upstream = 1
  response_headers = { A = [1][3] } # ERROR: invalid index
}
