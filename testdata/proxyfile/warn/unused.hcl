host "a.localhost" { upstream = service.used }
service "used" { upstream = service.inner }
service "inner" { upstream = 1 }
service "unused" { upstream = 1 } # WARNING: service "unused" is not used
