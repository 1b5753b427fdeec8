host "a.localhost" {
  upstream = 1
  max_body = 10 # ERROR: max_body must be a string
  compress = "true" # ERROR: compress must be true or false
  cache    = "64MB" # ERROR: cache must be true, false or an object
  route "/a" { max_body = 0 } # ERROR: max_body must be a string
  route "/b" { max_body = "10mb" } # ERROR: "10mb" is not a valid size
  route "/c" { max_body = "10M" } # ERROR: "10M" is not a valid size
  route "/d" { max_body = "10 MiB" } # ERROR: "10 MiB" is not a valid size
  route "/e" { max_body = "0MB" } # ERROR: the size "0MB" is out of range
  route "/f" { max_body = "2000GiB" } # ERROR: the size "2000GiB" is out of range
  route "/g" { max_body = "-1MB" } # ERROR: "-1MB" is not a valid size
  route "/h" { cache = { size = "1kB" } } # ERROR: the cache size "1kB" is out of range
  route "/i" { cache = { siz = "64MB" } } # ERROR: unknown field "siz" in cache
  route "/j" { cache = 64 } # ERROR: cache must be true, false or an object
  route "/k" { compress = ["zstd"] } # ERROR: compress must be true or false
  route "/l" { max_body = "many" } # ERROR: "many" is not a valid size
  route "/m" { max_body = false } # ERROR: max_body must be a string
  route "/n" { max_concurrent = 0 } # ERROR: max_concurrent must be a whole number, not 0
  route "/o" { max_concurrent = "2" } # ERROR: max_concurrent must be a whole number, not "2"
  route "/p" { max_concurrent = 1000001 } # ERROR: max_concurrent must be a whole number, not 1000001
}
