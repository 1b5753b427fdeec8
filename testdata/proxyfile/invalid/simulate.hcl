host "a.localhost" {
  upstream = 1
  simulate = "300ms" # ERROR: simulate is an object of delay, errors and bandwidth
  route "/a" { simulate = {} } # ERROR: there is nothing to simulate
  route "/b" { simulate = { delay = 300 } } # ERROR: a duration is a string
  route "/c" { simulate = { delay = "2h" } } # ERROR: a delay is not "2h"
  route "/d" { simulate = { errors = 0.05 } } # ERROR: errors is a string
  route "/e" { simulate = { errors = 5 } } # ERROR: errors is a string
  route "/f" { simulate = { errors = "0.05" } } # ERROR: "0.05" is no percentage
  route "/g" { simulate = { errors = "120%" } } # ERROR: "120%" is more than all
  route "/h" { simulate = { bandwidth = "1.5Mbps" } } # ERROR: "1.5Mbps" is no bandwidth
  route "/i" { simulate = { bandwidth = "200 KB/s" } } # ERROR: "200 KB/s" is no bandwidth
  route "/j" { simulate = { bandwidth = "0B/s" } } # ERROR: the bandwidth "0B/s" is out of range
  route "/k" { simulate = { bandwidth = "fast" } } # ERROR: "fast" is no bandwidth
  route "/l" { simulate = { latency = "300ms" } } # ERROR: unknown field "latency" in simulate
  route "/m" { simulate = { delay = "-1s", errors = true } } # ERROR: a delay is not "-1s" | errors is a string
}
