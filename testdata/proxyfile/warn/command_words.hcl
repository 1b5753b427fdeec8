host "a.localhost" { upstream = service.npm }
service "npm" { command = "npm run dev --port {port}" } # WARNING: npm takes --port for itself and does not pass it on to the script
service "start" { command = ["npm", "start", "--port=5173"] } # WARNING: npm takes --port for itself and does not pass it on to the script
service "short" { command = "npm run dev -p {port} -- --open" } # WARNING: npm takes -p for itself and does not pass it on to the script
service "host" { command = "vite --host {host} --port {port}" } # WARNING: the program gets {host} as it is written
service "joined" { command = "serve --listen=127.0.0.1:{number}" } # WARNING: the program gets {number} as it is written

# These pass what they seem to.
service "passed" { command = "npm run dev -- --port {port}" }
service "workspace" { command = "npm run dev -w web --silent -- --port {port}" }
service "pnpm" { command = "pnpm run dev --port {port}" }
service "yarn" { command = "yarn dev --port {port}" }
service "npx" { command = "npx vite --port {port}" }

# Braces that other programs read.
service "go" { command = ["docker", "run", "--format", "{{.Name}}", "web"] }
service "find" { command = ["find", ".", "-exec", "cat", "{}", ";"] }
service "shell" { command = ["sh", "-c", "f() { echo $${NAME}; }; f \"{a}\""] }
service "git" { command = ["git", "log", "main@{upstream}"] }
service "json" { command = ["server", "--config={\"a\":1}"] }
