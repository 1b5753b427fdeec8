host "a.localhost" { upstream = service.web }
service "web" {
  command = "pnpm dev"
  dir     = "no/such/folder" # WARNING: the folder "no/such/folder" does not exist yet
}
