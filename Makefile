# nameward: build, run, test. Every target works on a fresh Debian 12 machine with Go 1.26.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
PKGS     := ./...
FUZZTIME ?= 20s
# e2e starts its own binary; unit tests leave it out, but not what measures.
UNIT     = $(shell $(GO) list ./... | grep -v '/e2e$$')

export CGO_ENABLED = 0

.PHONY: build run test unit e2e race fuzz lint bench cross peers clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o nameward ./cmd/nameward

run: build
	./nameward demo

test: peers lint unit cross e2e

unit:
	$(GO) test -timeout 15m $(UNIT)

e2e:
	$(GO) test -timeout 30m -count=1 -v ./e2e

# The race detector needs cgo, and so a C compiler.
race:
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(UNIT)

fuzz:
	./e2e/fuzz.sh $(FUZZTIME)

lint:
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)

bench:
	$(GO) run ./e2e/bench

# Other systems: it has to build there.
cross:
	GOOS=windows $(GO) build -o /dev/null ./cmd/nameward
	GOOS=darwin $(GO) build -o /dev/null ./cmd/nameward

# What the tests run against. Without root, or elsewhere than on Debian, install the packages that
# e2e/peers.txt lists by other means; tests whose peer is missing say so.
peers:
	./e2e/peers.sh

clean:
	rm -rf nameward nameward.exe .demo
	$(GO) clean -testcache
