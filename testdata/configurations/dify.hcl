# nginx: langgenius/dify, docker/nginx/conf.d/default.conf.template
host "dify.localhost" {
  upstream = 3000

  route "/console/api" { upstream = service.api }
  route "/api" { upstream = service.api }
  route "/v1" { upstream = service.api }
  route "/files" { upstream = service.api }
  route "/mcp" { upstream = service.api }
  route "/triggers" { upstream = service.api }
  route "/socket.io" { upstream = service.api }
  route "/e" {
    upstream        = 5002
    request_headers = { Dify-Hook-Url = "https://{host}{uri}" }
  }
}

service "api" { upstream = 5001 }

#> POST /console/api/login | /console/api | :5001 /console/api/login
#> GET /v1/messages?user=a | /v1 | :5001 /v1/messages?user=a
#> POST /e/a1b2/hook?x=1&y=2 | /e | :5002 /e/a1b2/hook?x=1&y=2 | Dify-Hook-Url: https://dify.localhost/e/a1b2/hook?x=1&y=2
#> GET /explore/apps | / | :3000 /explore/apps
