# Apache and HAProxy: matrix-org/synapse, docs/reverse_proxy.md
host "matrix.localhost" {
  max_body = "50MB"

  route "/_matrix" { upstream = 8008 }
  route "/_synapse/client" { upstream = 8008 }
  route "/.well-known/matrix/server" {
    exact = true
    respond = {
      body    = "{\"m.server\":\"matrix.localhost:443\"}"
      headers = { Content-Type = "application/json", Access-Control-Allow-Origin = "https://app.localhost" }
    }
  }
}

#> GET /_matrix/client/v3/rooms/%21a:b/state/m.room.name/ | /_matrix | :8008 /_matrix/client/v3/rooms/%21a:b/state/m.room.name/
#> GET /_matrix/media/v3/download/a/b%2Fc | /_matrix | :8008 /_matrix/media/v3/download/a/b%2Fc
#> GET /_synapse/client/oidc/callback?code=a | /_synapse/client | :8008 /_synapse/client/oidc/callback?code=a
#> GET /.well-known/matrix/server | /.well-known/matrix/server (exact) | 200 {"m.server":"matrix.localhost:443"}
#> GET /_synapse/admin/v1/users | | 404
