# make demo and make test are all a newcomer needs; `make help` lists the rest.
.DEFAULT_GOAL := help

# The toolchain that go.mod names, whatever the machine has: an older one has
# known security holes in net/http. Where GOTOOLCHAIN is "local", go would refuse.
export GOTOOLCHAIN := go$(shell sed -n 's/^go //p' go.mod)

GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
CADDY = github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# The newest release whose dependencies the module proxies serve completely.
GORELEASER = github.com/goreleaser/goreleaser/v2@v2.15.1
RELEASE_CONFIG = .ci/release/goreleaser.yaml
FUZZTIME ?= 30s

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/devproxy
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/devproxy ./cmd/devproxy

# Without Node, the page is served from files: everything works but hot replacement.
DEMO_FILE ?= $(if $(shell command -v npm),Proxyfile,nonode/Proxyfile)
DEMO_VITE = testdata/demo/web/node_modules/.package-lock.json

.PHONY: demo
demo: build $(if $(filter Proxyfile,$(DEMO_FILE)),$(DEMO_VITE)) ## a small real project, served and shared by devproxy, on this machine
	cd testdata/demo && ../../bin/devproxy up -f $(DEMO_FILE) --allow --share --relay dev $(DEMO)

# The first time, and when the versions have changed.
$(DEMO_VITE): testdata/demo/web/package-lock.json
	@cd testdata/demo/web && { npm ci || { echo "To run the demo without Vite: make demo DEMO_FILE=nonode/Proxyfile"; exit 1; }; }
	@touch $@

.PHONY: deps
deps: ## what the tests need: installed on Debian as root, named elsewhere
	@./.ci/deps

.PHONY: deps-bench
deps-bench: ## the peers that bench measures, and its load generator
	@./.ci/deps haproxy:haproxy h2load:nghttp2-client
	@test -x bin/peers/caddy || GOBIN="$(CURDIR)/bin/peers" go install $(CADDY)

.PHONY: test
test: deps ## every test but those in a browser, with the race detector
	go test -race -shuffle=on -timeout 20m ./...

.PHONY: e2e
e2e: deps build ## the demo in real Chromium, h2spec, saves under load
	go test -race -shuffle=on -timeout 40m -tags e2e -run '^TestE2E' ./cmd/devproxy

.PHONY: frameworks
frameworks: deps build ## real dev servers attacked and used through a share: installs them; UPDATE=1 records what browsers ask for
	go test -count=1 -timeout 60m -v -tags e2e,frameworks -run '^TestFrameworks$(if $(FRAMEWORK),/^$(FRAMEWORK)$$)' ./cmd/devproxy $(if $(UPDATE),-update)

.PHONY: lint
lint: ## gofmt, vet on three systems, golangci-lint, plain English
	@unformatted=$$(gofmt -l cmd devproxy hcl localca tunnel testdata); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w $$unformatted"; exit 1; fi
	GOOS=linux go vet -tags e2e,frameworks ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...
	go run $(GOLANGCI_LINT) run --build-tags e2e,frameworks ./...
	go run .ci/english/main.go

.PHONY: figures
figures: ## what makes the code easy or hard to read, counted; BASE=COMMIT compares
	@go run .ci/figures/main.go $(BASE)

.PHONY: english
english: ## words and phrases that slow readers down, in code, comments and documents
	@go run .ci/english/main.go $(FILES)

.PHONY: vuln
vuln: ## known vulnerabilities in the code and its dependencies; needs the network
	@output=$$(go run $(GOVULNCHECK) ./... 2>&1); status=$$?; echo "$$output"; \
	case "$$output" in *"govulncheck: fetching vulnerabilities:"*) \
	  echo "not checked: the vulnerability database could not be reached" ;; \
	*) exit $$status ;; esac

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

.PHONY: bench
bench: deps-bench build ## forwarding next to nginx, HAProxy and Caddy, as ratios of one run: Linux
	go build -o bin/bench ./cmd/bench
	PATH="$(CURDIR)/bin/peers:$$PATH" bin/bench forward --devproxy bin/devproxy --json bin/bench.json $(BENCH)
	bin/bench projects

.PHONY: bench-go
bench-go: ## Go benchmarks of the packages, with memory
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-share
bench-share: build ## a share on an emulated path with loss, beside its peers: Linux, root
	go build -o bin/bench ./cmd/bench
	bin/bench share --devproxy bin/devproxy --cc cubic,bbr $(BENCH)

.PHONY: soak
soak: build ## saves under load, for SOAK (10m)
	SOAK=$${SOAK:-10m} go test -race -timeout 0 -tags e2e -run '^TestE2ESaves' ./cmd/devproxy
	SOAK=$${SOAK:-10m} go test -race -timeout 0 -tags e2e -run '^TestE2EShareDrop' ./cmd/devproxy

.PHONY: snapshot
snapshot: ## archives, packages and npm packages for this machine's platform, in dist: Linux and macOS
	@mkdir -p bin
	sed -e "s/^    goos: .*/    goos: [$$(go env GOOS)]/" -e "s/^    goarch: .*/    goarch: [$$(go env GOARCH)]/" $(RELEASE_CONFIG) >bin/goreleaser.yaml
	go run $(GORELEASER) release --config bin/goreleaser.yaml --snapshot --clean --skip=sign,sbom,docker
	rm -rf bin/npm && node .ci/release/npm/assemble.mjs dist bin/npm

.PHONY: release-check
release-check: ## goreleaser's own check of its configuration; compiles goreleaser the first time, which takes minutes
	go run $(GORELEASER) check $(RELEASE_CONFIG)

.PHONY: release
release: ## builds and publishes the tag that is checked out; needs accounts, see .ci/release/README.md
	go run $(GORELEASER) release --config $(RELEASE_CONFIG) --clean
