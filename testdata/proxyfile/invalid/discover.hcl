discover = "podman" # ERROR: unknown discover "podman"

host "a.localhost" {
  upstream = 3000
  discover = "docker" # ERROR: unknown attribute "discover" in host "a.localhost"
}
