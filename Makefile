# make test installs what is missing and then runs everything. Each step has
# its own bound of time; on two cores all of them together take well under an
# hour.

SHELL = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := test

# Kannel's boxes are where daemons are.
export PATH := $(PATH):/usr/sbin

LINT = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Where goroutines share something. The others only run on one goroutine.
RACE = ./internal/auth ./internal/console/... ./internal/copies ./internal/courier ./internal/link ./internal/merchant ./internal/phones ./internal/rest ./internal/sentry ./internal/server ./internal/sms/... ./internal/store ./internal/webhook

FUZZ  = 5000x
KILLS = 50
CRASHES = 300
FAILOVERS = 3
BANKS = 48

.PHONY: test components vet lint real race twilio packaging vendure woocommerce fuzz attacks kills disk failover bank bench

test: components vet real race twilio packaging vendure woocommerce fuzz attacks kills disk failover bank lint

components:
	.ci/components
	cd internal/console/testdata/axe && npm ci --ignore-scripts --no-audit --no-fund
	cd internal/webhook/testdata/standardwebhooks && npm ci --ignore-scripts --no-audit --no-fund
	cd connectors/vendure && npm ci --ignore-scripts --no-audit --no-fund

vet:
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	go vet ./...
	cd internal/sms/twilio/twiliogo && go vet ./...
	cd packaging/kubernetes/kubetest && go vet ./...

# With MAILLON_REAL a test whose component is missing fails.
real:
	MAILLON_REAL=1 go test -count=1 -timeout 20m ./...

race:
	go test -race -count=1 -timeout 15m $(RACE)

# Twilio's own library is the judge of ours, in a module of its own.
twilio:
	cd internal/sms/twilio/twiliogo && go test -count=1 -timeout 5m ./...

# The manifests are judged by the schemas that Kubernetes publishes, and the
# static program runs where there is nothing else; in a module of its own.
packaging:
	cd packaging/kubernetes/kubetest && MAILLON_REAL=1 go test -count=1 -timeout 20m ./...
	promtool check rules packaging/prometheus/maillon.rules.yml
	promtool test rules packaging/prometheus/maillon.rules.test.yml

# The connector of a shop, in the real Vendure.
vendure:
	cd connectors/vendure && timeout 10m npm test

# The plugin for WooCommerce, in as much of it as the plugin uses: with a service
# that the test breaks, then with the program itself.
woocommerce:
	cd connectors/woocommerce && timeout 2m php -d error_reporting=-1 -d display_errors=1 tests/run.php
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; go build -o "$$dir/maillon" . && \
		timeout 3m php -d error_reporting=-1 -d display_errors=1 connectors/woocommerce/tests/real.php "$$dir/maillon"
	cd connectors/woocommerce && timeout 1m node --test tests/blocks.test.js

# Every fuzz target there is, each for a moment: a number of inputs, for a run
# that ends by the clock now and then fails with "context deadline exceeded",
# https://go.dev/issue/75804.
fuzz:
	grep -rlE '^func Fuzz' --include='*_test.go' internal | sort | while read -r file; do \
		grep -oE '^func Fuzz\w+' "$$file" | cut -d ' ' -f 2 | while read -r target; do \
			echo "$$(dirname "$$file") $$target"; \
			timeout 5m go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ) -fuzzminimizetime 10x "./$$(dirname "$$file")" </dev/null; \
		done; \
	done

# Thieves do whatever chance lets them do, and balances are put back.
attacks:
	MAILLON_ATTACKS=10000 go test -count=1 -timeout 10m ./internal/correction

# A server is killed at random moments and must lose and double nothing; then
# two servers and their PostgreSQL are.
kills:
	MAILLON_REAL=1 MAILLON_KILLS=$(KILLS) go test -count=1 -timeout 15m -v -run TestNothingIsLost ./internal/sim/kill

# The disk below SQLite fails, crashes and lies.
disk:
	MAILLON_CRASHES=$(CRASHES) go test -count=1 -timeout 15m -v ./internal/sim/disk

# A cluster of databases loses its leader, in four ways, under load.
failover:
	MAILLON_REAL=1 MAILLON_FAILOVERS=$(FAILOVERS) go test -count=1 -timeout 60m -v -run 'Lost|Noticed' ./internal/sim/ha

# Whatever happens, what clients are answered could be one bank's.
bank:
	MAILLON_REAL=1 MAILLON_BANK=$(BANKS) go test -count=1 -timeout 15m -v -run OneBank ./internal/sim/bank

lint:
	$(LINT) run ./...

# What this machine can do; see docs/performance.md.
bench:
	go build -o maillon .
	for what in store api sms; do ./maillon bench $$what; done
