host "a.localhost" { upstream = service.a }
service "a" {
  upstream = [3000, 3001]
  fallback = 3001 # WARNING: the fallback :3001 is also an address of upstream
}
