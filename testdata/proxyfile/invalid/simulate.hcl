host "a.localhost" {
  upstream = 1
  simulate = "300ms" # ERROR: simulate must be an object with delay, errors or bandwidth
  route "/a" { simulate = {} } # ERROR: simulate is empty
  route "/b" { simulate = { delay = 300 } } # ERROR: a duration must be a string
  route "/c" { simulate = { delay = "2h" } } # ERROR: a delay of "2h" is out of range
  route "/d" { simulate = { errors = 0.05 } } # ERROR: errors must be a string
  route "/e" { simulate = { errors = 5 } } # ERROR: errors must be a string
  route "/f" { simulate = { errors = "0.05" } } # ERROR: "0.05" is not a valid percentage
  route "/g" { simulate = { errors = "120%" } } # ERROR: "120%" is out of range
  route "/h" { simulate = { bandwidth = "1.5Mbps" } } # ERROR: "1.5Mbps" is not a valid bandwidth
  route "/i" { simulate = { bandwidth = "200 KB/s" } } # ERROR: "200 KB/s" is not a valid bandwidth
  route "/j" { simulate = { bandwidth = "0B/s" } } # ERROR: the bandwidth "0B/s" is out of range
  route "/k" { simulate = { bandwidth = "fast" } } # ERROR: "fast" is not a valid bandwidth
  route "/l" { simulate = { latency = "300ms" } } # ERROR: unknown field "latency" in simulate
  route "/m" { simulate = { delay = "-1s", errors = true } } # ERROR: a delay of "-1s" is out of range | errors must be a string
}
