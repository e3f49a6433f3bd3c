# Two commands matter: `make demo` and `make test`. Each does all of its own set-up.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint bench lock clean environment peers page debian-demo debian-test debian-bench

BIN := .venv/bin
PEERS := tests/peers/jmap_programs
ARGS ?=

# What each command needs from Debian 12, beyond Python 3.11, pip, make and git.
DEMO_PACKAGES := python3-venv gnupg
TEST_PACKAGES := $(DEMO_PACKAGES) procps openssl strace nodejs postgresql-15 \
	dovecot-imapd swaks libnet-ssleay-perl libio-socket-ssl-perl libauthen-sasl-perl \
	postfix opendkim ldap-utils libsasl2-modules dirmngr curl gsasl isync msmtp neomutt rnp thunderbird \
	evolution-data-server gir1.2-ebook-1.2 python3-gi dbus xvfb xdotool openbox x11-utils imagemagick chromium
BENCH_PACKAGES := $(DEMO_PACKAGES) procps openssl strace gcc libc6-dev libssl-dev postfix libexttextcat-2.0-0 \
	liblua5.4-0 libsodium23 libstemmer0d libtirpc3 libunwind8 libwrap0

# Three lanes of about the same length, since most tests wait more than they work: real peers; browsers; and the quick
# folders, then the tests that kill and starve, which are shown as they go. tests/bench is for `make bench`. Where programs
# of others have a part, a file that failed is played twice more (deploy/setup/once_more.sh); what is ours alone never is.
PEER_TESTS := tests/peers
BROWSER_TESTS := tests/browser
LAST_TESTS := tests/faults
QUICK_TESTS := $(filter-out $(PEER_TESTS) $(BROWSER_TESTS) $(LAST_TESTS) tests/bench tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: debian-demo environment page ## Play the first letter on this machine, then keep serving (ARGS=--once: then stop)
	@echo "--> vaguemestre demo $(ARGS)"
	@$(BIN)/vaguemestre demo $(ARGS)

test: debian-test environment peers page ## Lint, types, arrows between packages, every test
	@$(MAKE) --no-print-directory checks
	@echo "--> tests (those with peers, and those with browsers, run beside the others, and are shown after them)"
	@export EVERY_PEER=1; with_peers=.venv/tests-with-peers.log; with_browsers=.venv/tests-with-browsers.log; \
	deploy/setup/once_more.sh $(PEER_TESTS) $(BIN)/pytest $(ARGS) >$$with_peers 2>&1 & peers=$$!; \
	deploy/setup/once_more.sh $(BROWSER_TESTS) $(BIN)/pytest $(ARGS) >$$with_browsers 2>&1 & browsers=$$!; \
	trap 'kill $$peers $$browsers; wait $$peers $$browsers; exit 130' INT TERM; \
	failed=0; \
	deploy/setup/in_memory.sh $(BIN)/pytest $(ARGS) $(QUICK_TESTS) || failed=$$?; \
	$(BIN)/pytest $(ARGS) $(wildcard $(LAST_TESTS)) || failed=$$?; \
	tail --lines=+1 --follow --pid=$$peers $$with_peers; wait $$peers || failed=$$?; \
	tail --lines=+1 --follow --pid=$$browsers $$with_browsers; wait $$browsers || failed=$$?; \
	[ $$failed -eq 0 ]

lint: environment page checks ## Style, types and arrows only

.PHONY: checks
checks:
	@echo "--> style"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "      not formatted: $(BIN)/ruff format ."; exit 1; }
	@echo "--> types"
	@$(BIN)/pyright --warnings
	@echo "--> types of the page"
	@$(BIN)/python -m webmail.ui.build check
	@echo "--> arrows between packages"
	@$(BIN)/lint-imports --no-logo >.venv/arrows.log 2>&1 || { cat .venv/arrows.log; exit 1; }

bench: debian-bench environment ## Measure beside Postfix and Dovecot (about 40 minutes)
	@echo "--> measuring"
	@$(BIN)/python -m tests.bench $(ARGS)

lock: ## Resolve requirements.lock and that of the peers anew
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	python3 -m venv "$$scratch" && "$$scratch/bin/pip" install --quiet uv && \
	"$$scratch/bin/uv" pip compile pyproject.toml --quiet --group dev --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --python-version 3.11 --output-file requirements.lock && \
	"$$scratch/bin/uv" pip compile $(PEERS)/requirements.in --quiet --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --python-version 3.11 --output-file $(PEERS)/requirements.lock

clean: ## Remove the environment and caches (never ./var, where a node may live)
	@rm -rf .venv .venv-peers dist build webmail/static webmail/ui/node_modules webmail/ui/.node .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@echo "--> Python packages"
	@deploy/setup/environment.sh

peers:
	@echo "--> JMAP programs of others, in an environment of their own"
	@deploy/setup/environment.sh .venv-peers $(PEERS)/requirements.lock

page:
	@echo "--> the page"
	@$(BIN)/python -m webmail.ui.build

debian-demo:
	@echo "--> Debian packages"
	@deploy/setup/debian.sh "make demo" $(DEMO_PACKAGES)

debian-test:
	@echo "--> Debian packages"
	@deploy/setup/debian.sh "make test" $(TEST_PACKAGES)

debian-bench:
	@echo "--> Debian packages"
	@deploy/setup/debian.sh "make bench" $(BENCH_PACKAGES)
